//! Copies of images: the progress of the job that makes one, and how to find one among the images of its project.

use serde_json::Value;

use super::images::{ImagePage, ImagesAnswer, page_of};
use super::jobs::{JobAnswer, progress_of};
use super::read;
use crate::clouds::{Fault, JobProgress};
use crate::domain::identifiers::{ImageId, JobId, PrincipalId};
use crate::domain::image::Ownership;

/// The progress of a copy's job.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum CopyJob {
    /// Not ended.
    Running {
        /// Progress in percent.
        percent: Option<u8>,
    },
    /// The job reports success.
    Ended {
        /// The new image, if the job names it.
        image: Option<ImageId>,
    },
    /// It failed, perhaps after part of its work.
    Failed(Fault),
}

/// Reads `GET /v1/{project_id}/jobs/{job_id}` of a copy.
pub(in super::super) fn read_copy_job(body: &[u8], asked: &JobId) -> Result<CopyJob, Fault> {
    let mut job: JobAnswer = read(body)?;
    let told = job.entities.as_mut().map(|entities| (entities.image_id.take(), entities.process_percent.take()));
    let (image, percent) = told.unwrap_or_default();
    Ok(match progress_of(job, asked)? {
        JobProgress::Running => CopyJob::Running { percent: percent.as_ref().and_then(hundredths) },
        JobProgress::Ended => {
            let image = image.filter(|image| !image.is_empty());
            CopyJob::Ended { image: image.map(|id| parse(&id)).transpose()? }
        }
        JobProgress::Failed(fault) => CopyJob::Failed(fault),
    })
}

/// Reads one page of images of `project` requested by name, and finds the one with a description.
pub(in super::super) fn read_copies(
    body: &[u8],
    project: &PrincipalId,
    description: &str,
) -> Result<(ImagePage, Option<ImageId>), Fault> {
    let answer: ImagesAnswer = read(body)?;
    let marked = answer.images.iter().filter(|row| row.description.as_deref() == Some(description));
    let marked = marked.map(|row| parse(&row.id)).collect::<Result<Vec<_>, Fault>>()?;
    let page = page_of(answer, project)?;
    if page.rows.iter().any(|(_, facts)| facts.ownership != Ownership::Own) {
        // The vendor ignored the filter.
        return Err(Fault::Unintelligible);
    }
    // The page omits rows already deleted.
    let mut found = page.rows.iter().map(|(image, _)| image).filter(|image| marked.contains(image));
    let copy = found.next().cloned();
    if found.next().is_some() {
        // Two images have one mark: either could be ours.
        return Err(Fault::Unintelligible);
    }
    drop(found);
    Ok((page, copy))
}

fn parse(id: &str) -> Result<ImageId, Fault> {
    ImageId::parse(id).map_err(|_| Fault::Unintelligible)
}

/// The vendor calls it a percentage, but its sample has `0.20`: a value up to 1 is a fraction of the whole. `None` for a
/// value that is neither.
fn hundredths(percent: &Value) -> Option<u8> {
    let told = percent.as_f64().or_else(|| percent.as_str()?.parse().ok())?;
    let percent = if told <= 1.0 { told * 100.0 } else { told };
    let shown = (0.0..=100.0).contains(&percent).then(|| format!("{percent:.0}"))?;
    shown.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::Refusal;

    const JOB: &str = "ff8080814dbd65d7014dbe0d84db0013";
    const PROJECT: &str = "0b1e494e2660441a957313163095fe5c";
    const IMAGE: &str = "e9e91bff-14b6-4a0b-8377-4ed0813e3360";
    const MARK: &str = "Made by imageshare-operator for ImageReplica 7f3c (1)";

    /// As the vendor's documentation shows a job that makes an image.
    const DONE: &str = r#"{"status":"SUCCESS","entities":{"image_id":"e9e91bff-14b6-4a0b-8377-4ed0813e3360",
        "image_name":"golden-copy","process_percent":0.20,"current_task":"CopyImageInRegionTask"},
        "job_id":"ff8080814dbd65d7014dbe0d84db0013","job_type":"imsCopyImageInRegionJob",
        "begin_time":"2015-11-04T06:30:00.778Z","end_time":"2015-11-04T06:30:02.778Z","error_code":null,"fail_reason":null}"#;

    fn job(body: &str) -> Result<CopyJob, Fault> {
        read_copy_job(body.as_bytes(), &JobId::parse(JOB).unwrap())
    }

    fn image() -> ImageId {
        ImageId::parse(IMAGE).unwrap()
    }

    #[test]
    fn documented_jobs_are_read() {
        assert_eq!(job(DONE), Ok(CopyJob::Ended { image: Some(image()) }));
        for status in ["INIT", "RUNNING"] {
            let wanted = CopyJob::Running { percent: Some(20) };
            assert_eq!(job(&DONE.replace("SUCCESS", status)), Ok(wanted), "{status}");
        }
        let failed = DONE.replace("SUCCESS", "FAIL").replace(r#""error_code":null"#, r#""error_code":"IMG.7777""#);
        let fault = Fault::Refused { refusal: Refusal::Unknown, code: "IMG.7777".to_owned() };
        assert_eq!(job(&failed), Ok(CopyJob::Failed(fault)));
    }

    #[test]
    fn a_job_need_not_tell_its_image() {
        for body in [
            DONE.replace("image_id", "other"),
            DONE.replace(&format!(r#""{IMAGE}""#), "null"),
            DONE.replace(IMAGE, ""),
            format!(r#"{{"status":"SUCCESS","job_id":"{JOB}"}}"#),
            format!(r#"{{"status":"SUCCESS","job_id":"{JOB}","entities":null}}"#),
        ] {
            assert_eq!(job(&body), Ok(CopyJob::Ended { image: None }), "{body}");
        }
    }

    #[test]
    fn share_or_percentage_is_read_and_nothing_else() {
        for (told, percent) in [
            ("0", Some(0)),
            ("0.0", Some(0)),
            ("0.29", Some(29)),
            ("1", Some(100)),
            ("1.0", Some(100)),
            ("42", Some(42)),
            ("42.4", Some(42)),
            ("100", Some(100)),
            (r#""0.5""#, Some(50)),
            ("-1", None),
            ("100.1", None),
            ("1e300", None),
            (r#""NaN""#, None),
            (r#""half""#, None),
            ("null", None),
            ("[]", None),
        ] {
            let body = DONE.replace("SUCCESS", "RUNNING").replace("0.20", told);
            assert_eq!(job(&body), Ok(CopyJob::Running { percent }), "{told}");
        }
    }

    #[test]
    fn answers_about_another_job_are_unintelligible() {
        for body in [
            "",
            "{}",
            "<html>",
            &DONE.replace(JOB, "other"),
            &DONE.replace("SUCCESS", "PERHAPS"),
            &DONE.replace(IMAGE, "../x"),
            &DONE[..DONE.len() - 1],
        ] {
            assert_eq!(job(body), Err(Fault::Unintelligible), "{body}");
        }
    }

    /// As the vendor's documentation shows an image, with this operator's description.
    const LIST: &str = r#"{"images":[{"schema":"/v2/schemas/image","min_disk":40,"created_at":"2018-09-06T14:03:27Z",
        "__image_source_type":"uds","container_format":"bare","protected":false,"size":0,"tags":[],"disk_format":"zvhd2",
        "id":"e9e91bff-14b6-4a0b-8377-4ed0813e3360","owner":"0b1e494e2660441a957313163095fe5c","name":"golden-copy",
        "__description":"Made by imageshare-operator for ImageReplica 7f3c (1)","__imagetype":"private",
        "visibility":"private","virtual_env_type":"FusionCompute","status":"queued","__image_size":""}]}"#;

    fn found(body: &str) -> Result<Option<ImageId>, Fault> {
        read_copies(body.as_bytes(), &PrincipalId::parse(PROJECT).unwrap(), MARK).map(|(_, found)| found)
    }

    #[test]
    fn a_copy_is_found_by_its_description_alone_in_any_status() {
        for status in ["queued", "saving", "active", "killed"] {
            assert_eq!(found(&LIST.replace("queued", status)), Ok(Some(image())), "{status}");
        }
        for body in [
            &LIST.replace(MARK, ""),
            &LIST.replace(MARK, "Made by imageshare-operator for ImageReplica 7f3c (2)"),
            &LIST.replace(&format!(r#""{MARK}""#), "null"),
            &LIST.replace("__description", "other"),
            &LIST.replace("queued", "deleted"),
            r#"{"images":[]}"#,
        ] {
            assert_eq!(found(body), Ok(None), "{body}");
        }
    }

    #[test]
    fn lists_that_prove_nothing_are_unintelligible() {
        let row = LIST.strip_prefix(r#"{"images":["#).unwrap().strip_suffix("]}").unwrap();
        let second = row.replace("e9e91bff", "00000000");
        for body in [
            "",
            "{}",
            r#"{"images":null}"#,
            &LIST[..LIST.len() - 1],
            &format!(r#"{{"images":[{row},{second}]}}"#),
            &format!(r#"{{"images":[{row},{row}]}}"#),
            &LIST.replace(PROJECT, "edc89b490d7d4392898e19b2deb34797"),
            &LIST.replace(IMAGE, "../x"),
            &LIST.replace("queued", "melting"),
            &LIST.replace(r#""private","#, r#""gold","#),
        ] {
            assert_eq!(found(body), Err(Fault::Unintelligible), "{body}");
        }
    }
}
