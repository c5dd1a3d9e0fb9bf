//! Maps a region to a host: by the vendor's naming pattern, or by configured endpoints, as clouds of the same technology need
//! them.

use reqwest::Url;

use crate::clouds::endpoint_rule::{CheckedEndpoint, ServiceEndpoint};
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

/// Where the calls of an account go. By default, to the vendor's hosts of the account's site.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// The image service, in service of the vendor's hosts.
    pub ims: Option<ServiceEndpoint>,
    /// The identity service, in service of the vendor's hosts.
    pub iam: Option<ServiceEndpoint>,
    /// The region whose identity service gets the calls without a region.
    pub home: Option<RegionId>,
}

impl Endpoints {
    /// One endpoint for all calls.
    pub fn all_at(endpoint: CheckedEndpoint) -> Self {
        let all = ServiceEndpoint::from(endpoint);
        Self { ims: Some(all.clone()), iam: Some(all), home: None }
    }
}

/// The URL of a service, with path `/` and no query; `None` if the region's name cannot be part of a host name.
pub(super) fn url_of(service: Service<'_>, site: Site, endpoints: &Endpoints) -> Option<Url> {
    let (given, region) = match service {
        Service::Ims(region) => (&endpoints.ims, Some(region)),
        Service::Iam(region) => (&endpoints.iam, Some(region)),
        Service::IamCentral => (&endpoints.iam, endpoints.home.as_ref()),
    };
    if let Some(given) = given {
        return given.url(region);
    }
    // The SDK's table has the European IMS at `.com` and IAM at `.eu`; the vendor's other tools use `.eu` for both.
    let domain = match site {
        Site::Europe => "myhuaweicloud.eu",
        Site::China | Site::International | Site::Partition(_) => "myhuaweicloud.com",
    };
    let service = match (service, &endpoints.home) {
        (Service::IamCentral, Some(home)) => Service::Iam(home),
        (service, _) => service,
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
            assert_eq!(url_of(service, site, &Endpoints::default()).unwrap().as_str(), format!("https://{host}/"));
        }
    }

    #[test]
    fn every_place_of_a_given_endpoint_is_that_endpoint() {
        let allowed = AllowedEndpoints::parse(&["http://127.0.0.1:8080"]).unwrap();
        let endpoint = allowed.check(Provider::Huawei, "http://127.0.0.1:8080").unwrap();
        let region = RegionId::parse("cn-north-4").unwrap();
        for service in [Service::Ims(&region), Service::Iam(&region), Service::IamCentral] {
            assert_eq!(
                url_of(service, Site::China, &Endpoints::all_at(endpoint.clone())).unwrap().as_str(),
                "http://127.0.0.1:8080/"
            );
        }
    }

    /// Open Telekom Cloud, whose identity service has a host in each region and none without.
    #[test]
    fn clouds_of_the_same_technology_have_hosts_of_their_own() {
        let flags = ["https://ims.{region}.otc.t-systems.com", "https://iam.{region}.otc.t-systems.com"];
        let allowed = AllowedEndpoints::parse(&flags).unwrap();
        let [ims, iam] = flags.map(|text| Some(allowed.check_regional(Provider::Huawei, text).unwrap()));
        let (home, other) = (RegionId::parse("eu-de").unwrap(), RegionId::parse("eu-nl").unwrap());
        let endpoints = Endpoints { ims, iam, home: Some(home) };
        for (service, host) in [
            (Service::Ims(&other), "https://ims.eu-nl.otc.t-systems.com/"),
            (Service::Iam(&other), "https://iam.eu-nl.otc.t-systems.com/"),
            (Service::IamCentral, "https://iam.eu-de.otc.t-systems.com/"),
        ] {
            assert_eq!(url_of(service, Site::Europe, &endpoints).unwrap().as_str(), host);
        }
        let home = Endpoints { home: endpoints.home, ..Endpoints::default() };
        let iam = url_of(Service::IamCentral, Site::International, &home).unwrap();
        assert_eq!(iam.as_str(), "https://iam.eu-de.myhuaweicloud.com/");
    }

    #[test]
    fn every_region_name_gives_a_host_of_the_vendor_or_none() {
        for name in ["-", "_", "A", "--x--", "cn_x", &"r".repeat(63)] {
            let region = RegionId::parse(name).unwrap();
            for (site, suffix) in [(Site::China, ".myhuaweicloud.com"), (Site::Europe, ".myhuaweicloud.eu")] {
                let url = url_of(Service::Ims(&region), site, &Endpoints::default());
                assert!(url.is_none_or(|url| url.host_str().unwrap().ends_with(suffix)), "{name}");
            }
        }
    }
}
