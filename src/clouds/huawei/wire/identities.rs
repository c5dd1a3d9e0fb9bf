//! Domains and projects, as IAM lists them.

use reqwest::Url;
use serde::Deserialize;

use super::super::Query;
use super::{bounded, read};
use crate::clouds::Fault;
use crate::domain::identifiers::{PrincipalId, RegionId};
use crate::domain::provider::Provider;

/// Longest next-page link, in bytes.
const LINK_BYTES_MAX: usize = 2048;

#[derive(Deserialize)]
struct DomainsAnswer {
    domains: Vec<DomainRow>,
}

#[derive(Deserialize)]
struct DomainRow {
    id: String,
}

#[derive(Deserialize)]
struct ProjectsAnswer {
    projects: Vec<ProjectRow>,
    #[serde(default)]
    links: Option<Links>,
}

#[derive(Deserialize)]
struct Links {
    #[serde(default)]
    next: Option<String>,
}

#[derive(Deserialize)]
struct ProjectRow {
    id: String,
    name: String,
    #[serde(default)]
    domain_id: Option<String>,
    #[serde(default)]
    enabled: Option<bool>,
}

/// One page of projects.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct ProjectPage {
    /// Number of rows in the answer, unused ones included.
    pub(in super::super) rows: usize,
    /// The query of the vendor's next-page link, without the link's host.
    pub(in super::super) next: Option<Query>,
    /// Regions and the own project of each, if it is enabled.
    pub(in super::super) own: Vec<(RegionId, PrincipalId)>,
}

/// Reads `GET /v3/auth/domains`: the one domain of the credentials; if there are several, the expected one. `None` if there is none:
/// IAM lists domains that the user has a role on, and a user may have roles on projects alone (`GlobalCredentials` of the vendor's SDK
/// has a fallback for that).
pub(in super::super) fn read_domain(body: &[u8], expected: &PrincipalId) -> Result<Option<PrincipalId>, Fault> {
    let rows = bounded(read::<DomainsAnswer>(body)?.domains)?;
    let parse = |row: &DomainRow| Provider::Huawei.parse_account(&row.id).map_err(|_| Fault::Unintelligible);
    let ids = rows.iter().map(parse).collect::<Result<Vec<_>, Fault>>()?;
    match ids.as_slice() {
        [] => Ok(None),
        [id] => Ok(Some(id.clone())),
        ids if ids.contains(expected) => Ok(Some(expected.clone())),
        _ => Err(Fault::Unintelligible),
    }
}

/// Reads the domain that owns the projects of one page of `GET /v3/projects`, which are those of the credentials; `None` if there are
/// no projects.
pub(in super::super) fn read_domain_of_projects(body: &[u8]) -> Result<Option<PrincipalId>, Fault> {
    let rows = bounded(read::<ProjectsAnswer>(body)?.projects)?;
    let mut domains = rows.iter().map(|row| row.domain_id.as_deref().ok_or(Fault::Unintelligible));
    let Some(first) = domains.next().transpose()? else { return Ok(None) };
    // A user belongs to one domain; a delegated user of several would prove nothing.
    if domains.any(|domain| domain != Ok(first)) {
        return Err(Fault::Unintelligible);
    }
    Provider::Huawei.parse_account(first).map(Some).map_err(|_| Fault::Unintelligible)
}

/// Reads one page of `GET /v3/projects`. The name identifies a region's own project: it equals the region's name. Other
/// projects in the region are `<region>_<name>`, and the vendor's helpers (`MOS`) have any name.
pub(in super::super) fn read_projects(body: &[u8]) -> Result<ProjectPage, Fault> {
    let answer: ProjectsAnswer = read(body)?;
    let rows = bounded(answer.projects)?;
    let own = rows
        .iter()
        .filter(|row| row.enabled != Some(false) && is_region(&row.name))
        .map(|row| {
            let project = Provider::Huawei.parse_principal(&row.id).map_err(|_| Fault::Unintelligible)?;
            Ok((RegionId::parse(&row.name).map_err(|_| Fault::Unintelligible)?, project))
        })
        .collect::<Result<_, Fault>>()?;
    let next = match answer.links.and_then(|links| links.next).filter(|next| !next.is_empty()) {
        None => None,
        Some(link) if link.len() > LINK_BYTES_MAX => return Err(Fault::Unintelligible),
        Some(link) => Some(query_of(&link)?),
    };
    Ok(ProjectPage { rows: rows.len(), next, own })
}

/// Reads `GET /v3/projects` requested for one name: the enabled project of that name, or `None`.
pub(in super::super) fn read_project(body: &[u8], name: &str) -> Result<Option<PrincipalId>, Fault> {
    let answer: ProjectsAnswer = read(body)?;
    let rows = bounded(answer.projects)?;
    let mut called = rows.iter().filter(|row| row.name == name && row.enabled != Some(false));
    match (called.next(), called.next()) {
        (Some(row), None) => Provider::Huawei.parse_principal(&row.id).map(Some).map_err(|_| Fault::Unintelligible),
        (None, _) if answer.links.is_none_or(|links| links.next.is_none_or(|next| next.is_empty())) => Ok(None),
        // Another page may hold it, or two projects have the name.
        _ => Err(Fault::Unintelligible),
    }
}

fn query_of(link: &str) -> Result<Query, Fault> {
    let link = Url::parse(link).map_err(|_| Fault::Unintelligible)?;
    Ok(link.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
}

/// `cn-north-4`, `my-kualalumpur-1`: two letters, words, a number.
fn is_region(name: &str) -> bool {
    let parts: Vec<&str> = name.split('-').collect();
    let [country, words @ .., number] = parts.as_slice() else { return false };
    let letters = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    country.len() == 2 && letters(country) && !words.is_empty() && words.iter().all(|word| letters(word)) && digits
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "d78cbac186b744899480f25bd022f468";
    const OTHER: &str = "0a1b2c3d4e5f60718293a4b5c6d7e8f9";

    fn domain(body: &str) -> Result<Option<String>, Fault> {
        let found = read_domain(body.as_bytes(), &PrincipalId::parse(DOMAIN).unwrap())?;
        Ok(found.map(|domain| domain.to_string()))
    }

    #[test]
    fn the_domain_is_the_only_one_or_the_expected_one() {
        let row = |id: &str| format!(r#"{{"id":"{id}","name":"n","enabled":true,"links":{{"self":"x"}}}}"#);
        let of = |rows: &[String]| format!(r#"{{"domains":[{}],"links":{{"next":null}}}}"#, rows.join(","));
        assert_eq!(domain(&of(&[row(DOMAIN)])).unwrap().as_deref(), Some(DOMAIN));
        assert_eq!(domain(&of(&[row(OTHER)])).unwrap().as_deref(), Some(OTHER), "told as it is, expected or not");
        assert_eq!(domain(&of(&[row(OTHER), row(DOMAIN)])).unwrap().as_deref(), Some(DOMAIN));
        assert_eq!(domain(&of(&[])), Ok(None));
        for body in [&of(&[row(OTHER), row(OTHER)]), &of(&[row("x")]), "{}", "", r#"{"domains":null}"#] {
            assert_eq!(domain(body), Err(Fault::Unintelligible), "{body}");
        }
    }

    #[test]
    fn projects_name_the_one_domain_that_owns_them() {
        let row = |id: &str| format!(r#"{{"id":"{OTHER}","name":"cn-north-4","domain_id":"{id}"}}"#);
        let found = |rows: &[String]| {
            let body = format!(r#"{{"projects":[{}],"links":{{}}}}"#, rows.join(","));
            read_domain_of_projects(body.as_bytes()).map(|domain| domain.map(|domain| domain.to_string()))
        };
        assert_eq!(found(&[row(DOMAIN), row(DOMAIN)]).unwrap().as_deref(), Some(DOMAIN));
        assert_eq!(found(&[]), Ok(None));
        let nameless = format!(r#"{{"id":"{OTHER}","name":"cn-north-4"}}"#);
        for rows in [[row(DOMAIN), row(OTHER)], [row(DOMAIN), nameless], [row("x"), row("x")]] {
            assert_eq!(found(&rows), Err(Fault::Unintelligible), "{rows:?}");
        }
    }

    #[test]
    fn projects_called_like_a_region_are_its_own() {
        let body = format!(
            r#"{{"projects":[
            {{"domain_id":"{DOMAIN}","is_domain":false,"parent_id":"{DOMAIN}","name":"cn-north-4","description":"",
              "links":{{"self":"x"}},"id":"{OTHER}","enabled":true}},
            {{"name":"cn-north-4_web","id":"{DOMAIN}","enabled":true}},
            {{"name":"MOS","id":"x","enabled":true}},
            {{"name":"af-south-1","id":"{OTHER}","enabled":false}},
            {{"name":"my-kualalumpur-1","id":"{DOMAIN}"}}],
            "links":{{"next":null,"previous":null,"self":"x"}}}}"#
        );
        let page = read_projects(body.as_bytes()).unwrap();
        let own: Vec<(&str, &str)> = page.own.iter().map(|(region, id)| (region.as_str(), id.as_str())).collect();
        assert_eq!((page.rows, page.next), (5, None));
        assert_eq!(own, [("cn-north-4", OTHER), ("my-kualalumpur-1", DOMAIN)]);

        let more = body.replace(r#""next":null"#, r#""next":"https://elsewhere/v3/projects?page=2&per_page=a%26b""#);
        let next = read_projects(more.as_bytes()).unwrap().next.unwrap();
        let wanted = [("page", "2"), ("per_page", "a&b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(next, wanted);
        assert_eq!(read_projects(br#"{"projects":[]}"#).unwrap().next, None);
    }

    #[test]
    fn answers_that_list_no_projects_are_unintelligible() {
        for body in [
            "",
            "{}",
            r#"{"projects":null}"#,
            r#"{"projects":[{"name":"cn-north-4"}]}"#,
            r#"{"projects":[{"id":"x"}]}"#,
            r#"{"projects":[{"name":"cn-north-4","id":"../x"}]}"#,
            r#"{"projects":[],"links":{"next":"no link"}}"#,
            &format!(r#"{{"projects":[],"links":{{"next":"https://x/?{}"}}}}"#, "x".repeat(3000)),
        ] {
            assert_eq!(read_projects(body.as_bytes()), Err(Fault::Unintelligible), "{body}");
        }
    }

    #[test]
    fn one_project_is_found_by_its_name_alone() {
        let of = |rows: &str, next: &str| {
            let body = format!(r#"{{"projects":[{rows}],"links":{{"next":{next},"previous":null,"self":"x"}}}}"#);
            read_project(body.as_bytes(), "cn-east-3_web")
        };
        let row = |name: &str, rest: &str| format!(r#"{{"name":"{name}","id":"{OTHER}"{rest}}}"#);
        let (web, own) = (row("cn-east-3_web", r#","enabled":true"#), row("cn-east-3", ""));
        assert_eq!(of(&web, "null"), Ok(Some(PrincipalId::parse(OTHER).unwrap())));
        assert_eq!(of(&format!("{own},{web}"), r#""https://x/?page=2""#).unwrap().unwrap().as_str(), OTHER);
        for rows in ["", &own, &row("cn-east-3_web", r#","enabled":false"#)] {
            assert_eq!(of(rows, "null"), Ok(None), "{rows}");
            assert_eq!(of(rows, r#""""#), Ok(None), "{rows}");
            assert_eq!(of(rows, r#""https://x/?page=2""#), Err(Fault::Unintelligible), "{rows}");
        }
        assert_eq!(of(&format!("{web},{web}"), "null"), Err(Fault::Unintelligible));
        assert_eq!(of(&web.replace(OTHER, "../x"), "null"), Err(Fault::Unintelligible));
        assert_eq!(read_project(b"{}", "cn-east-3_web"), Err(Fault::Unintelligible));
    }

    #[test]
    fn regions_are_told_by_their_form() {
        for name in ["cn-north-4", "cn-north-11", "ap-southeast-1", "la-north-2", "eu-west-101", "tr-west-1"] {
            assert!(is_region(name), "{name}");
        }
        for name in
            ["MOS", "", "-", "cn", "cn-4", "cn-north-", "cn-north-4_x", "cn-north-4-x", "CN-north-4", "project-a-1"]
        {
            assert!(!is_region(name), "{name}");
        }
    }
}
