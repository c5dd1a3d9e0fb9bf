//! Maps a region to a host: by the vendor's naming pattern, or to one endpoint that an administrator set for all calls.

use reqwest::Url;

use crate::clouds::endpoint_rule::CheckedEndpoint;
use crate::domain::identifiers::RegionId;
use crate::domain::provider::Site;

/// The service that receives a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service<'a> {
    /// The image service of one region.
    Ims(&'a RegionId),
    /// The identity service of one region.
    Iam(&'a RegionId),
    /// The identity service of the whole site.
    IamCentral,
}

impl Service<'_> {
    /// The budget key of a service. No region has the name of the last one.
    pub(super) fn budget_key(self) -> String {
        match self {
            Self::Ims(region) => region.to_string(),
            Self::Iam(_) | Self::IamCentral => "(iam)".to_owned(),
        }
    }
}

/// The URL of a service, with path `/` and no query; `None` if the region's name cannot be part of a host name.
pub(super) fn url_of(service: Service<'_>, site: Site, endpoint: Option<&CheckedEndpoint>) -> Option<Url> {
    if let Some(endpoint) = endpoint {
        return Some(endpoint.url().clone());
    }
    // The SDK's table has the European IMS at `.com` and IAM at `.eu`; the vendor's other tools use `.eu` for both.
    let domain = match site {
        Site::Europe => "myhuaweicloud.eu",
        Site::China | Site::International | Site::Partition(_) => "myhuaweicloud.com",
    };
    let host = match (service, site) {
        (Service::Ims(region), _) => format!("ims.{region}.{domain}"),
        (Service::Iam(region), _) => format!("iam.{region}.{domain}"),
        // The site's only region known to have this host; the vendor documents none without a region there.
        (Service::IamCentral, Site::Europe) => format!("iam.eu-west-101.{domain}"),
        (Service::IamCentral, Site::China | Site::International | Site::Partition(_)) => format!("iam.{domain}"),
    };
    Url::parse(&format!("https://{host}/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::endpoint_rule::AllowedEndpoints;
    use crate::domain::provider::Provider;

    #[test]
    fn hosts_follow_the_rule_and_the_site() {
        let (beijing, dublin) = (RegionId::parse("cn-north-4").unwrap(), RegionId::parse("eu-west-101").unwrap());
        for (service, site, host) in [
            (Service::Ims(&beijing), Site::China, "ims.cn-north-4.myhuaweicloud.com"),
            (Service::Ims(&beijing), Site::International, "ims.cn-north-4.myhuaweicloud.com"),
            (Service::Iam(&beijing), Site::China, "iam.cn-north-4.myhuaweicloud.com"),
            (Service::IamCentral, Site::International, "iam.myhuaweicloud.com"),
            (Service::Ims(&dublin), Site::Europe, "ims.eu-west-101.myhuaweicloud.eu"),
            (Service::Iam(&dublin), Site::Europe, "iam.eu-west-101.myhuaweicloud.eu"),
            (Service::IamCentral, Site::Europe, "iam.eu-west-101.myhuaweicloud.eu"),
        ] {
            assert_eq!(url_of(service, site, None).unwrap().as_str(), format!("https://{host}/"));
        }
    }

    #[test]
    fn every_place_of_a_given_endpoint_is_that_endpoint() {
        let allowed = AllowedEndpoints::parse(&["http://127.0.0.1:8080"]).unwrap();
        let endpoint = allowed.check(Provider::Huawei, "http://127.0.0.1:8080").unwrap();
        let region = RegionId::parse("cn-north-4").unwrap();
        for service in [Service::Ims(&region), Service::Iam(&region), Service::IamCentral] {
            assert_eq!(url_of(service, Site::China, Some(&endpoint)).unwrap().as_str(), "http://127.0.0.1:8080/");
        }
    }

    #[test]
    fn every_region_name_gives_a_host_of_the_vendor_or_none() {
        for name in ["-", "_", "A", "--x--", "cn_x", &"r".repeat(63)] {
            let region = RegionId::parse(name).unwrap();
            for (site, suffix) in [(Site::China, ".myhuaweicloud.com"), (Site::Europe, ".myhuaweicloud.eu")] {
                let url = url_of(Service::Ims(&region), site, None);
                assert!(url.is_none_or(|url| url.host_str().unwrap().ends_with(suffix)), "{name}");
            }
        }
    }
}
