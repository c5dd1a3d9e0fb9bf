//! Hosts of regions: the SDK's endpoint map, or one configured endpoint for all calls.

use reqwest::Url;

use crate::clouds::endpoint_rule::CheckedEndpoint;
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

/// The URL of a service, path `/` and no query; `None` if the region's name cannot be part of a host name.
pub(super) fn url_of(service: Service<'_>, endpoint: Option<&CheckedEndpoint>) -> Option<Url> {
    if let Some(endpoint) = endpoint {
        return Some(endpoint.url().clone());
    }
    let host = match service {
        Service::Region(region) => ecs_host(region),
        Service::Central => ECS_CENTRAL.to_owned(),
        Service::Sts => STS_CENTRAL.to_owned(),
    };
    Url::parse(&format!("https://{host}/")).ok()
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
            let url = url_of(Service::Region(&region), None).unwrap();
            assert_eq!(url.as_str(), format!("https://{host}/"));
        }
        assert_eq!(url_of(Service::Central, None).unwrap().as_str(), "https://ecs.aliyuncs.com/");
        assert_eq!(url_of(Service::Sts, None).unwrap().as_str(), "https://sts.aliyuncs.com/");
    }

    #[test]
    fn every_place_of_a_given_endpoint_is_that_endpoint() {
        let allowed = AllowedEndpoints::parse(&["http://127.0.0.1:8080"]).unwrap();
        let endpoint = allowed.check(Provider::Alibaba, "http://127.0.0.1:8080").unwrap();
        let region = RegionId::parse("cn-beijing").unwrap();
        for service in [Service::Region(&region), Service::Central, Service::Sts] {
            assert_eq!(url_of(service, Some(&endpoint)).unwrap().as_str(), "http://127.0.0.1:8080/");
        }
    }

    #[test]
    fn every_region_name_gives_a_host_of_the_vendor_or_none() {
        for name in ["-", "_", "A", "--x--", "cn_x", &"r".repeat(63)] {
            let region = RegionId::parse(name).unwrap();
            let url = url_of(Service::Region(&region), None);
            assert!(url.is_none_or(|u| u.host_str().unwrap().ends_with(".aliyuncs.com")), "{name}");
        }
    }
}
