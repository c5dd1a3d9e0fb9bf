//! Hosts of regions: the SDK's endpoint map, those of a VPC, or configured endpoints.

use reqwest::Url;

use crate::clouds::endpoint_rule::{CheckedEndpoint, ServiceEndpoint};
use crate::domain::identifiers::RegionId;

/// Regions whose host does not follow `ecs.<region>.aliyuncs.com` (endpoint map of the vendor's SDK for ECS 2014-05-26;
/// its internal test regions are left out).
const EXCEPTIONS: [(&str, &str); 12] = [
    ("cn-hangzhou", "ecs-cn-hangzhou.aliyuncs.com"),
    ("cn-shanghai-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
    ("cn-shenzhen-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
    ("cn-fujian", "ecs-cn-hangzhou.aliyuncs.com"),
    ("cn-hangzhou-finance", "ecs.aliyuncs.com"),
    ("cn-north-2-gov-1", "ecs.aliyuncs.com"),
    ("cn-beijing-gov-1", "ecs.aliyuncs.com"),
    ("cn-beijing-finance-pop", "ecs.aliyuncs.com"),
    ("cn-hongkong-finance-pop", "ecs.aliyuncs.com"),
    ("ap-northeast-2-pop", "ecs.aliyuncs.com"),
    ("cn-zhangjiakou-na62-a01", "ecs.cn-zhangjiakou.aliyuncs.com"),
    ("cn-edge-1", "ecs.cn-qingdao-nebula.aliyuncs.com"),
];

/// Host of calls without a region.
const ECS_CENTRAL: &str = "ecs.aliyuncs.com";
const STS_CENTRAL: &str = "sts.aliyuncs.com";

/// Target of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service<'a> {
    /// ECS in one region.
    Region(&'a RegionId),
    /// ECS without a region.
    Central,
    /// The token service.
    Sts,
}

impl Service<'_> {
    /// The key of the budget: the vendor's limits count by region. No region has one of the last two names.
    pub(super) fn budget_key(self) -> String {
        match self {
            Self::Region(region) => region.to_string(),
            Self::Central => "(central)".to_owned(),
            Self::Sts => "(sts)".to_owned(),
        }
    }
}

/// Where the calls of an account go. By default, to the vendor's public hosts, and those without a region to China.
#[derive(Debug, Clone, Default)]
pub struct Endpoints {
    /// ECS, in service of the vendor's hosts.
    pub ecs: Option<ServiceEndpoint>,
    /// STS, in service of the vendor's host.
    pub sts: Option<ServiceEndpoint>,
    /// Whether the hosts are those that a VPC reaches without the public network; each works in its own region.
    pub vpc: bool,
    /// The region that gets the calls without a region.
    pub home: Option<RegionId>,
}

impl Endpoints {
    /// One endpoint for all calls.
    pub fn all_at(endpoint: CheckedEndpoint) -> Self {
        let all = ServiceEndpoint::from(endpoint);
        Self { ecs: Some(all.clone()), sts: Some(all), ..Self::default() }
    }

    /// The vendor's host of a service (endpoint pages of ECS and STS: `ecs-vpc` and `sts-vpc` in a VPC).
    fn host(&self, service: Service<'_>) -> String {
        let region = match service {
            Service::Region(region) => Some(region),
            Service::Central | Service::Sts => self.home.as_ref(),
        };
        match (service, region) {
            (Service::Sts, Some(region)) if self.vpc => format!("sts-vpc.{region}.aliyuncs.com"),
            (Service::Sts, Some(region)) => format!("sts.{region}.aliyuncs.com"),
            (Service::Sts, None) => STS_CENTRAL.to_owned(),
            (_, Some(region)) if self.vpc => format!("ecs-vpc.{region}.aliyuncs.com"),
            (_, Some(region)) => ecs_host(region),
            (_, None) => ECS_CENTRAL.to_owned(),
        }
    }
}

/// The URL of a service, path `/` and no query; `None` if the region's name cannot be part of a host name.
pub(super) fn url_of(service: Service<'_>, endpoints: &Endpoints) -> Option<Url> {
    let (given, region) = match service {
        Service::Region(region) => (&endpoints.ecs, Some(region)),
        Service::Central => (&endpoints.ecs, endpoints.home.as_ref()),
        Service::Sts => (&endpoints.sts, endpoints.home.as_ref()),
    };
    match given {
        Some(given) => given.url(region),
        None => Url::parse(&format!("https://{}/", endpoints.host(service))).ok(),
    }
}

fn ecs_host(region: &RegionId) -> String {
    EXCEPTIONS
        .iter()
        .find(|(name, _)| *name == region.as_str())
        .map_or_else(|| format!("ecs.{region}.aliyuncs.com"), |(_, host)| (*host).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::endpoint_rule::AllowedEndpoints;
    use crate::domain::provider::Provider;

    #[test]
    fn hosts_follow_the_rule_and_its_exceptions() {
        for (region, host) in [
            ("cn-beijing", "ecs.cn-beijing.aliyuncs.com"),
            ("ap-southeast-1", "ecs.ap-southeast-1.aliyuncs.com"),
            ("cn-hangzhou", "ecs-cn-hangzhou.aliyuncs.com"),
            ("cn-shanghai-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
            ("cn-shenzhen-finance-1", "ecs-cn-hangzhou.aliyuncs.com"),
            ("cn-hangzhou-finance", "ecs.aliyuncs.com"),
            ("cn-north-2-gov-1", "ecs.aliyuncs.com"),
            ("cn-zhangjiakou-na62-a01", "ecs.cn-zhangjiakou.aliyuncs.com"),
            ("cn-edge-1", "ecs.cn-qingdao-nebula.aliyuncs.com"),
        ] {
            let region = RegionId::parse(region).unwrap();
            let url = url_of(Service::Region(&region), &Endpoints::default()).unwrap();
            assert_eq!(url.as_str(), format!("https://{host}/"));
        }
        assert_eq!(url_of(Service::Central, &Endpoints::default()).unwrap().as_str(), "https://ecs.aliyuncs.com/");
        assert_eq!(url_of(Service::Sts, &Endpoints::default()).unwrap().as_str(), "https://sts.aliyuncs.com/");
    }

    #[test]
    fn every_place_of_a_given_endpoint_is_that_endpoint() {
        let allowed = AllowedEndpoints::parse(&["http://127.0.0.1:8080"]).unwrap();
        let endpoint = allowed.check(Provider::Alibaba, "http://127.0.0.1:8080").unwrap();
        let region = RegionId::parse("cn-beijing").unwrap();
        for service in [Service::Region(&region), Service::Central, Service::Sts] {
            assert_eq!(
                url_of(service, &Endpoints::all_at(endpoint.clone())).unwrap().as_str(),
                "http://127.0.0.1:8080/"
            );
        }
    }

    #[test]
    fn a_vpc_and_a_home_region_need_no_public_host_and_none_in_china() {
        let (home, other) = (RegionId::parse("ap-southeast-1").unwrap(), RegionId::parse("cn-hangzhou").unwrap());
        let hosts = |vpc: bool| {
            let endpoints = Endpoints { vpc, home: Some(home.clone()), ..Endpoints::default() };
            [Service::Region(&other), Service::Central, Service::Sts]
                .map(|service| url_of(service, &endpoints).unwrap().host_str().unwrap().to_owned())
        };
        let public =
            ["ecs-cn-hangzhou.aliyuncs.com", "ecs.ap-southeast-1.aliyuncs.com", "sts.ap-southeast-1.aliyuncs.com"];
        assert_eq!(hosts(false), public);
        let vpc = [
            "ecs-vpc.cn-hangzhou.aliyuncs.com",
            "ecs-vpc.ap-southeast-1.aliyuncs.com",
            "sts-vpc.ap-southeast-1.aliyuncs.com",
        ];
        assert_eq!(hosts(true), vpc);
        let allowed = AllowedEndpoints::default();
        for host in public.iter().chain(&vpc) {
            assert!(allowed.check(Provider::Alibaba, &format!("https://{host}")).is_ok(), "{host}");
        }
    }

    #[test]
    fn services_have_endpoints_of_their_own() {
        let allowed =
            AllowedEndpoints::parse(&["https://ecs.{region}.example.com", "https://sts.example.com"]).unwrap();
        let given = |text: &str| Some(allowed.check_regional(Provider::Alibaba, text).unwrap());
        let (ecs, sts) = (given("https://ecs.{region}.example.com"), given("https://sts.example.com"));
        let (home, other) = (RegionId::parse("cn-beijing").unwrap(), RegionId::parse("cn-hangzhou").unwrap());
        let endpoints = Endpoints { ecs, sts, home: Some(home), ..Endpoints::default() };
        let host = |service| url_of(service, &endpoints).unwrap().to_string();
        assert_eq!(host(Service::Region(&other)), "https://ecs.cn-hangzhou.example.com/");
        assert_eq!(host(Service::Central), "https://ecs.cn-beijing.example.com/");
        assert_eq!(host(Service::Sts), "https://sts.example.com/");
    }

    #[test]
    fn every_region_name_gives_a_host_of_the_vendor_or_none() {
        for name in ["-", "_", "A", "--x--", "cn_x", &"r".repeat(63)] {
            let region = RegionId::parse(name).unwrap();
            let url = url_of(Service::Region(&region), &Endpoints::default());
            assert!(url.is_none_or(|u| u.host_str().unwrap().ends_with(".aliyuncs.com")), "{name}");
        }
    }
}
