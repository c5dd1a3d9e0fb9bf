//! Jobs: the answer to a call that starts one, and the progress of one.

use serde::Deserialize;
use serde_json::Value;

use super::super::faults::fault_of_job;
use super::{bounded, read};
use crate::clouds::{Fault, JobProgress};
use crate::domain::identifiers::JobId;

#[derive(Deserialize)]
struct SubmittedAnswer {
    job_id: String,
}

#[derive(Deserialize)]
pub(super) struct JobAnswer {
    status: String,
    job_id: String,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    pub(super) entities: Option<Entities>,
}

#[derive(Deserialize)]
pub(super) struct Entities {
    #[serde(default)]
    pub(super) image_id: Option<String>,
    #[serde(default)]
    pub(super) process_percent: Option<Value>,
    #[serde(default)]
    error_code: Option<String>,
    #[serde(default)]
    results: Option<Vec<ResultRow>>,
}

#[derive(Deserialize)]
struct ResultRow {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    error_code: Option<String>,
}

impl ResultRow {
    /// The status is lower case here, but upper case on the job itself.
    fn succeeded(&self) -> bool {
        self.status.as_deref().is_some_and(|status| status.eq_ignore_ascii_case("success"))
    }
}

/// Reads the answer to a call that starts a job.
pub(in super::super) fn read_submitted(body: &[u8]) -> Result<JobId, Fault> {
    JobId::parse(&read::<SubmittedAnswer>(body)?.job_id).map_err(|_| Fault::Unintelligible)
}

/// Reads `GET /v1/{project_id}/jobs/{job_id}`. A job of this operator has one image, so every result is about it.
pub(in super::super) fn read_job(body: &[u8], asked: &JobId) -> Result<JobProgress, Fault> {
    let job: JobAnswer = read(body)?;
    progress_of(job, asked)
}

pub(super) fn progress_of(job: JobAnswer, asked: &JobId) -> Result<JobProgress, Fault> {
    if job.job_id != asked.as_str() {
        return Err(Fault::Unintelligible);
    }
    let (own_code, results) =
        job.entities.map_or((None, Vec::new()), |entities| (entities.error_code, entities.results.unwrap_or_default()));
    let results = bounded(results)?;
    let failed = results.iter().find(|row| !row.succeeded());
    let told = |code: &Option<String>| code.clone().filter(|code| !code.is_empty());
    let code = told(&job.error_code)
        .or_else(|| told(&own_code))
        .or_else(|| failed.and_then(|row| told(&row.error_code)))
        .unwrap_or_default();
    match job.status.as_str() {
        "INIT" | "RUNNING" => Ok(JobProgress::Running),
        "SUCCESS" if failed.is_none() => Ok(JobProgress::Ended),
        "SUCCESS" | "FAIL" => Ok(JobProgress::Failed(fault_of_job(&code))),
        _ => Err(Fault::Unintelligible),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fault::{Quota, Refusal};

    const JOB: &str = "ff8080814dbd65d7014dbe0d84db0013";

    /// As the vendor's documentation shows a job that added members.
    const DONE: &str = r#"{"status":"SUCCESS","entities":{"results":[{"image_id":"49e9447f-7dff-41e0-8036-f66fe5488c8b",
        "project_id":"089b2f9a3d80d3062f24c00ca4ed5cbd","status":"success"}]},"job_id":"ff8080814dbd65d7014dbe0d84db0013",
        "job_type":"imsAddImageMembersJob","begin_time":"2015-11-04T06:30:00.778Z","end_time":"2015-11-04T06:30:02.778Z",
        "error_code":null,"fail_reason":null}"#;

    fn progress(body: &str) -> Result<JobProgress, Fault> {
        read_job(body.as_bytes(), &JobId::parse(JOB).unwrap())
    }

    fn refused(code: &str) -> JobProgress {
        JobProgress::Failed(Fault::Refused { refusal: Refusal::Unknown, code: code.to_owned() })
    }

    #[test]
    fn every_status_is_read() {
        assert_eq!(progress(DONE), Ok(JobProgress::Ended));
        for status in ["INIT", "RUNNING"] {
            assert_eq!(progress(&DONE.replace("SUCCESS", status)), Ok(JobProgress::Running), "{status}");
        }
        assert_eq!(progress(&DONE.replace("SUCCESS", "FAIL")), Ok(refused("JobFailed")));
        let full = DONE.replace("SUCCESS", "FAIL").replace(r#""error_code":null"#, r#""error_code":"IMG.0088""#);
        assert_eq!(progress(&full), Ok(JobProgress::Failed(Fault::QuotaExceeded { quota: Quota::RecipientsPerImage })));
        let below = DONE.replace("SUCCESS", "FAIL").replace(r#""results":"#, r#""error_code":"IMG.7777","x":"#);
        assert_eq!(progress(&below), Ok(refused("IMG.7777")));
    }

    #[test]
    fn success_without_results_is_the_end_and_one_with_a_failed_result_is_not() {
        for entities in [r#""entities":{"results":[]}"#, r#""entities":{}"#, r#""entities":null"#, r#""x":1"#] {
            let body = format!(r#"{{"status":"SUCCESS","job_id":"{JOB}",{entities}}}"#);
            assert_eq!(progress(&body), Ok(JobProgress::Ended), "{entities}");
        }
        assert_eq!(progress(&DONE.replace(r#""success""#, r#""failed""#)), Ok(refused("JobFailed")));
        let coded = DONE.replace(r#""status":"success""#, r#""status":"fail","error_code":"IMG.0108""#);
        let unknown = Fault::NotFound(crate::domain::fault::Missing::Recipient);
        assert_eq!(progress(&coded), Ok(JobProgress::Failed(unknown)));
    }

    #[test]
    fn answers_about_something_else_are_unintelligible() {
        for body in [
            "",
            "{}",
            &DONE.replace(JOB, "other"),
            &DONE.replace("SUCCESS", "PERHAPS"),
            &DONE.replace("status", "state"),
        ] {
            assert_eq!(progress(body), Err(Fault::Unintelligible), "{body}");
        }
    }

    #[test]
    fn a_call_is_answered_with_a_job() {
        assert_eq!(read_submitted(format!(r#"{{"job_id":"{JOB}"}}"#).as_bytes()).unwrap().as_str(), JOB);
        for body in ["", "{}", r#"{"job_id":null}"#, r#"{"job_id":""}"#, r#"{"job_id":"../x"}"#, "<html>"] {
            assert_eq!(read_submitted(body.as_bytes()), Err(Fault::Unintelligible), "{body}");
        }
    }
}
