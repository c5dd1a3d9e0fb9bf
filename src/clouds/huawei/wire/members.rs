//! Members of an image, as `GET /v1/{project_id}/cloudimages/{image_id}/members` lists them.

use serde::Deserialize;

use super::{PageInfo, bounded, read};
use crate::clouds::Fault;
use crate::domain::identifiers::{ImageId, Recipient, RecipientKind};
use crate::domain::image::Answer;
use crate::domain::provider::Provider;

#[derive(Deserialize)]
struct MembersAnswer {
    members: Vec<MemberRow>,
    #[serde(default)]
    page_info: Option<PageInfo>,
}

#[derive(Deserialize)]
struct MemberRow {
    status: String,
    image_id: String,
    member_id: String,
    #[serde(default)]
    member_type: Option<String>,
    #[serde(default)]
    urn: Option<String>,
}

/// One page of an image's members.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct MemberPage {
    /// The members of this page as sent: duplicates included.
    pub(in super::super) rows: Vec<(Recipient, Answer)>,
    /// The marker of the next page; `None` on the last one.
    pub(in super::super) next: Option<String>,
    /// Whether the page has as many rows as it declares, and, if full, whether it has page information.
    pub(in super::super) whole: bool,
}

/// Reads one page, requested with this limit.
pub(in super::super) fn read_members(body: &[u8], asked: &ImageId, limit: usize) -> Result<MemberPage, Fault> {
    let answer: MembersAnswer = read(body)?;
    let sent = bounded(answer.members)?;
    if sent.iter().any(|row| row.image_id != asked.as_str()) {
        return Err(Fault::Unintelligible);
    }
    let rows = sent.iter().map(row_of).collect::<Result<Vec<_>, Fault>>()?;
    let whole = match &answer.page_info {
        Some(info) => info.current_count.is_none_or(|count| count == rows.len()),
        None => rows.len() < limit,
    };
    Ok(MemberPage { rows, next: answer.page_info.map_or(Ok(None), PageInfo::next)?, whole })
}

fn row_of(row: &MemberRow) -> Result<(Recipient, Answer), Fault> {
    // Rows older than the other kinds, and those of the Glance calls, have no type: they are projects.
    let (kind, id) = match row.member_type.as_deref() {
        None | Some("project") => (RecipientKind::Project, row.member_id.as_str()),
        Some("domain") => (RecipientKind::Account, row.member_id.as_str()),
        // The member id lacks the account, with which an organization's URN begins.
        Some("organization") => (RecipientKind::Organization, row.urn.as_deref().ok_or(Fault::Unintelligible)?),
        Some(_) => return Err(Fault::Unintelligible),
    };
    let recipient = Provider::Huawei.parse_recipient(kind, id).map_err(|_| Fault::Unintelligible)?;
    let answer = match row.status.as_str() {
        "pending" => Answer::Pending,
        "accepted" => Answer::Accepted,
        "rejected" => Answer::Rejected,
        _ => return Err(Fault::Unintelligible),
    };
    Ok((recipient, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    const URN: &str = "organizations::0a1b2c3d4e5f60718293a4b5c6d7e8f9:ou:o-abc123/ou-xyz789";

    /// As the vendor's documentation shows it, with a row of each kind.
    const PAGE: &str = r#"{"members":[
        {"status":"accepted","created_at":"2016-09-01T02:05:14Z","updated_at":"2016-09-01T02:06:14Z",
         "image_id":"d164b5df-1bc3-4c3f-893e-3e471fd16e64","member_id":"edc89b490d7d4392898e19b2deb34797",
         "schema":"/v2/schemas/member","member_type":"project"},
        {"status":"pending","image_id":"d164b5df-1bc3-4c3f-893e-3e471fd16e64","member_id":"7c6b5a49382716050f0e0d0c0b0a0908"},
        {"status":"accepted","image_id":"d164b5df-1bc3-4c3f-893e-3e471fd16e64","member_id":"d78cbac186b744899480f25bd022f468",
         "member_type":"domain","urn":null},
        {"status":"rejected","image_id":"d164b5df-1bc3-4c3f-893e-3e471fd16e64","member_id":"ou-xyz789",
         "member_type":"organization","urn":"organizations::0a1b2c3d4e5f60718293a4b5c6d7e8f9:ou:o-abc123/ou-xyz789"}],
        "schema":"/v2/schemas/members","page_info":{"next_marker":"bmV4dA==","current_count":4}}"#;

    fn page(body: &str, limit: usize) -> Result<MemberPage, Fault> {
        read_members(body.as_bytes(), &ImageId::parse("d164b5df-1bc3-4c3f-893e-3e471fd16e64").unwrap(), limit)
    }

    #[test]
    fn rows_of_every_kind_are_read() {
        let recipient = |kind, id| Provider::Huawei.parse_recipient(kind, id).unwrap();
        let wanted = vec![
            (recipient(RecipientKind::Project, "edc89b490d7d4392898e19b2deb34797"), Answer::Accepted),
            (recipient(RecipientKind::Project, "7c6b5a49382716050f0e0d0c0b0a0908"), Answer::Pending),
            (recipient(RecipientKind::Account, "d78cbac186b744899480f25bd022f468"), Answer::Accepted),
            (recipient(RecipientKind::Organization, URN), Answer::Rejected),
        ];
        let whole = MemberPage { rows: wanted, next: Some("bmV4dA==".to_owned()), whole: true };
        assert_eq!(page(PAGE, 1000), Ok(whole));
    }

    #[test]
    fn count_that_does_not_fit_or_a_full_page_without_an_end_is_not_whole() {
        assert!(!page(&PAGE.replace(r#""current_count":4"#, r#""current_count":5"#), 1000).unwrap().whole);
        let without = PAGE.replace("page_info", "other");
        assert!(page(&without, 5).unwrap().whole);
        assert!(!page(&without, 4).unwrap().whole);
        for end in [r#""next_marker":"""#, r#""next_marker":null"#, r#""other":1"#] {
            let last = page(&PAGE.replace(r#""next_marker":"bmV4dA==""#, end), 4).unwrap();
            assert_eq!((last.next, last.whole), (None, true), "{end}");
        }
    }

    #[test]
    fn answers_that_prove_nothing_are_unintelligible() {
        for body in [
            "",
            "{}",
            r#"{"members":null}"#,
            &PAGE[..PAGE.len() - 1],
            &PAGE.replace(r#""pending","image_id":"d164"#, r#""pending","image_id":"0000"#),
            &PAGE.replace(r#""member_type":"domain""#, r#""member_type":"planet""#),
            &PAGE.replace(r#""status":"pending""#, r#""status":"perhaps""#),
            &PAGE.replace("edc89b490d7d4392898e19b2deb34797", "x"),
            &PAGE.replace(URN, "ou-xyz789"),
            &PAGE.replace("\"urn\":\"org", "\"other\":\"org"),
            &PAGE.replace("bmV4dA==", &"m".repeat(2000)),
        ] {
            assert_eq!(page(body, 1000), Err(Fault::Unintelligible), "{body}");
        }
    }
}
