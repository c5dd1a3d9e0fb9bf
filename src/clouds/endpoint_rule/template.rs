//! Endpoints of a service in every region: `https://ims.{region}.example.com`.

use reqwest::Url;

use super::{AllowedEndpoints, CheckedEndpoint, EndpointRefused, Origin};
use crate::domain::identifiers::RegionId;
use crate::domain::provider::Provider;

/// What stands for a region.
const MARK: &str = "{region}";

/// A region that no cloud has, of the form that all of them use: it is tried in place of the mark.
const SAMPLE: &str = "zz-any-0";

/// An endpoint that passed the rule, for one region or for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEndpoint(Kind);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Fixed(Url),
    Regional { provider: Provider, allowed: AllowedEndpoints, text: String },
}

impl From<CheckedEndpoint> for ServiceEndpoint {
    fn from(endpoint: CheckedEndpoint) -> Self {
        Self(Kind::Fixed(endpoint.0))
    }
}

impl ServiceEndpoint {
    /// The endpoint for a region. `None` if the region cannot be part of a host name, leads to a host that is not allowed, or is
    /// missing where the text has `{region}`.
    pub fn url(&self, region: Option<&RegionId>) -> Option<Url> {
        self.endpoint(region).map(|endpoint| endpoint.0)
    }

    /// The same, as an endpoint that passed the rule.
    pub fn endpoint(&self, region: Option<&RegionId>) -> Option<CheckedEndpoint> {
        match &self.0 {
            Kind::Fixed(url) => Some(CheckedEndpoint(url.clone())),
            Kind::Regional { provider, allowed, text } => {
                let text = text.replacen(MARK, &region?.as_str().to_ascii_lowercase(), 1);
                // Each region is checked: a vendor's domain has hosts that are not its own.
                allowed.check_service(*provider, &text).ok()
            }
        }
    }
}

impl AllowedEndpoints {
    /// Checks the endpoint of a service, which may have `{region}` in place of a label, or of a part of one, of its host. Such a
    /// template is allowed by the vendor's own hosts, or by a flag with the same template.
    pub fn check_regional(&self, provider: Provider, text: &str) -> Result<ServiceEndpoint, EndpointRefused> {
        self.regional_by(text, provider, |text| self.check(provider, text))
    }

    /// The same for a service that may live below a path.
    pub fn check_regional_service(&self, provider: Provider, text: &str) -> Result<ServiceEndpoint, EndpointRefused> {
        self.regional_by(text, provider, |text| self.check_service(provider, text))
    }

    fn regional_by(
        &self,
        text: &str,
        provider: Provider,
        check: impl Fn(&str) -> Result<CheckedEndpoint, EndpointRefused>,
    ) -> Result<ServiceEndpoint, EndpointRefused> {
        let checked = check(&sample_of(text).ok_or(EndpointRefused::Malformed)?)?;
        if !text.contains(MARK) {
            return Ok(checked.into());
        }
        Ok(ServiceEndpoint(Kind::Regional { provider, allowed: self.clone(), text: text.to_owned() }))
    }
}

/// The text with a region in place of the mark, which must be part of the host.
fn sample_of(text: &str) -> Option<String> {
    let Some((before, after)) = text.split_once(MARK) else { return Some(text.to_owned()) };
    let host_begins = before.split_once("://").map_or(before, |(_, host)| host);
    let in_host = !host_begins.contains(['/', ':', '@', '[']) && !after.contains(MARK);
    in_host.then(|| format!("{before}{SAMPLE}{after}"))
}

/// An origin that a flag allows for every region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RegionalOrigin {
    sample: Origin,
    before: String,
    after: String,
}

impl RegionalOrigin {
    /// Parses `https://name.{region}.domain[:port]`; `None` if it is none, or if the mark is all that tells hosts apart.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let sample = Origin::parse(&sample_of(text)?)?;
        let (before, after) = sample.host.split_once(SAMPLE)?;
        // `{region}.com` would allow every domain.
        let bounded = after.strip_prefix('.').is_some_and(|domain| domain.contains('.')) && sample.https;
        let (before, after) = (before.to_owned(), after.to_owned());
        bounded.then_some(Self { sample, before, after })
    }

    /// Whether this is the origin of a region.
    pub(super) fn admits(&self, origin: &Origin) -> bool {
        let region = origin.host.strip_prefix(&self.before).and_then(|rest| rest.strip_suffix(&self.after));
        let same = origin.https == self.sample.https && origin.port == self.sample.port;
        same && region.is_some_and(|region| !region.is_empty() && !region.contains('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EndpointRefused::{Malformed, NotAllowed};

    fn url(allowed: &[&str], text: &str, region: Option<&str>) -> Result<Option<String>, EndpointRefused> {
        let allowed = AllowedEndpoints::parse(allowed).unwrap();
        let region = region.map(|region| RegionId::parse(region).unwrap());
        let endpoint = allowed.check_regional(Provider::Huawei, text)?;
        Ok(endpoint.url(region.as_ref()).map(|url| url.to_string()))
    }

    #[test]
    fn a_template_has_a_host_for_every_region_and_one_text_is_for_all() {
        let flag = ["https://ims.{region}.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"];
        let ims = "https://ims.{region}.otc.t-systems.com";
        assert_eq!(url(&flag, ims, Some("eu-de")), Ok(Some("https://ims.eu-de.otc.t-systems.com/".to_owned())));
        assert_eq!(url(&flag, ims, Some("EU-NL")), Ok(Some("https://ims.eu-nl.otc.t-systems.com/".to_owned())));
        assert_eq!(url(&flag, ims, None), Ok(None));
        let iam = "https://iam.eu-de.otc.t-systems.com";
        for region in [None, Some("eu-nl")] {
            assert_eq!(url(&flag, iam, region), Ok(Some("https://iam.eu-de.otc.t-systems.com/".to_owned())));
        }
        let vendors = "https://ims.{region}.myhuaweicloud.com";
        let beijing = "https://ims.cn-north-4.myhuaweicloud.com/".to_owned();
        assert_eq!(url(&[], vendors, Some("cn-north-4")), Ok(Some(beijing)));
    }

    #[test]
    fn no_region_leads_to_another_host() {
        let flag = ["https://ims.{region}.otc.t-systems.com"];
        for region in ["eu_de", "x-", &"r".repeat(64)] {
            let Ok(region) = RegionId::parse(region) else { continue };
            assert_eq!(url(&flag, flag[0], Some(region.as_str())), Ok(None), "{region}");
        }
        let vendors = "https://ims.{region}.myhuaweicloud.com";
        assert_eq!(url(&[], vendors, Some("obs")), Ok(None), "below it, customers choose names");
    }

    #[test]
    fn a_template_that_no_flag_names_is_refused() {
        let flag = ["https://ims.{region}.otc.t-systems.com", "https://iam.eu-de.otc.t-systems.com"];
        for (text, why) in [
            ("https://iam.{region}.otc.t-systems.com", NotAllowed),
            ("https://ims.{region}.evil.example", NotAllowed),
            ("https://{region}.myhuaweicloud.com", NotAllowed),
            ("https://{region}.ims.otc.t-systems.com", NotAllowed),
            ("https://ims.{region}.otc.t-systems.com:8443", NotAllowed),
            ("http://ims.{region}.otc.t-systems.com", NotAllowed),
            ("https://ims.{region}.{region}.otc.t-systems.com", Malformed),
            ("https://ims.otc.t-systems.com/{region}", Malformed),
            ("https://user:{region}@ims.otc.t-systems.com", Malformed),
            ("https://ims.{zone}.otc.t-systems.com", Malformed),
            ("https://iam.eu-de.otc.t-systems.com/v3", Malformed),
            ("{region}", Malformed),
        ] {
            assert_eq!(url(&flag, text, Some("eu-de")), Err(why), "{text}");
        }
    }

    #[test]
    fn a_flag_that_would_allow_every_domain_or_plain_http_is_refused() {
        for flag in
            ["https://{region}", "https://{region}.com", "https://ims.{region}", "http://ims.{region}.example.com:80"]
        {
            assert_eq!(AllowedEndpoints::parse(&[flag]).unwrap_err(), Malformed, "{flag}");
        }
    }
}
