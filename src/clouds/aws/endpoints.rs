//! Hosts of services and regions, by the endpoint rules of the vendor's SDK, or one configured endpoint for all calls.
//!
//! Under the vendor's domains there are also hosts of its customers, for example
//! `<api>.execute-api.<region>.amazonaws.com`. So the rule lists whole hosts, and never a suffix.

use reqwest::Url;

use crate::clouds::endpoint_rule::CheckedEndpoint;
use crate::domain::aws::Partition;
use crate::domain::identifiers::RegionId;

/// First labels of the hosts that calls go to.
const SERVICES: [&str; 4] = ["ec2", "ec2-fips", "sts", "sts-fips"];

/// Domain of the hosts of a partition.
fn suffix(partition: Partition) -> &'static str {
    match partition {
        Partition::Commercial | Partition::GovCloud => "amazonaws.com",
        Partition::China => "amazonaws.com.cn",
        Partition::Europe => "amazonaws.eu",
    }
}

/// Domain of the hosts that have IPv6 addresses, too.
fn dual_stack_suffix(partition: Partition) -> &'static str {
    match partition {
        Partition::Commercial | Partition::GovCloud => "api.aws",
        Partition::China => "api.amazonwebservices.com.cn",
        Partition::Europe => "api.amazonwebservices.eu",
    }
}

/// Whether a host is one of the vendor's own for the services that this operator calls.
pub(in crate::clouds) fn is_api_host(host: &str) -> bool {
    let mut parts = host.splitn(3, '.');
    let (Some(service), Some(region), Some(domain)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let is_of = |partition: Partition| {
        partition.has_region(region) && [suffix(partition), dual_stack_suffix(partition)].contains(&domain)
    };
    SERVICES.contains(&service) && Partition::ALL.into_iter().any(is_of)
}

/// Which hosts an account's calls go to.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    /// The account's partition.
    pub(super) partition: Partition,
    /// The region of calls that concern none.
    pub(super) home: RegionId,
    /// Hosts with validated cryptography.
    pub(super) fips: bool,
    /// Hosts that have IPv6 addresses, too.
    pub(super) dual_stack: bool,
    /// An endpoint for all calls, instead of the vendor's hosts.
    pub(super) endpoint: Option<CheckedEndpoint>,
}

/// Target of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service<'a> {
    /// EC2 in one region.
    Region(&'a RegionId),
    /// EC2 in the home region, for what concerns the account.
    Home,
    /// The token service. The one of the home region: an account may have regions that it did not enable.
    Sts,
}

impl Service<'_> {
    /// The name by which requests are signed.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Region(_) | Self::Home => "ec2",
            Self::Sts => "sts",
        }
    }

    /// The key of the budget: the vendor's limits count by region. No region has one of the last two names.
    pub(super) fn budget_key(self) -> String {
        match self {
            Self::Region(region) => region.to_string(),
            Self::Home => "(home)".to_owned(),
            Self::Sts => "(sts)".to_owned(),
        }
    }
}

impl Hosts {
    /// The region that a request is signed for.
    pub(super) fn region_of<'a>(&'a self, service: Service<'a>) -> &'a RegionId {
        match service {
            Service::Region(region) => region,
            Service::Home | Service::Sts => &self.home,
        }
    }

    /// The URL of a service, path `/` and no query; `None` if the partition has no such region.
    pub(super) fn url_of(&self, service: Service<'_>) -> Option<Url> {
        if let Some(endpoint) = &self.endpoint {
            return Some(endpoint.url().clone());
        }
        let region = self.region_of(service).as_str();
        if !self.partition.has_region(region) {
            return None;
        }
        let domain = if self.dual_stack { dual_stack_suffix(self.partition) } else { suffix(self.partition) };
        // The plain hosts of GovCloud have validated cryptography, and there are no others.
        let plain = !self.fips || (self.partition == Partition::GovCloud && !self.dual_stack);
        let (service, fips) = (service.service(), if plain { "" } else { "-fips" });
        Url::parse(&format!("https://{service}{fips}.{region}.{domain}/")).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clouds::endpoint_rule::AllowedEndpoints;
    use crate::domain::provider::Provider;

    fn region(name: &str) -> RegionId {
        RegionId::parse(name).unwrap()
    }

    fn hosts(partition: Partition) -> Hosts {
        let home = region(partition.home_region());
        Hosts { partition, home, fips: false, dual_stack: false, endpoint: None }
    }

    #[test]
    fn hosts_follow_the_rules_of_the_sdk() {
        use Partition::{China, Commercial, Europe, GovCloud};
        for (partition, name, fips, dual_stack, ec2, sts) in [
            (Commercial, "eu-west-1", false, false, "ec2.eu-west-1.amazonaws.com", "sts.us-east-1.amazonaws.com"),
            (
                Commercial,
                "us-east-1",
                true,
                false,
                "ec2-fips.us-east-1.amazonaws.com",
                "sts-fips.us-east-1.amazonaws.com",
            ),
            (Commercial, "us-east-1", false, true, "ec2.us-east-1.api.aws", "sts.us-east-1.api.aws"),
            (Commercial, "us-east-1", true, true, "ec2-fips.us-east-1.api.aws", "sts-fips.us-east-1.api.aws"),
            (
                China,
                "cn-north-1",
                false,
                false,
                "ec2.cn-north-1.amazonaws.com.cn",
                "sts.cn-northwest-1.amazonaws.com.cn",
            ),
            (
                China,
                "cn-north-1",
                false,
                true,
                "ec2.cn-north-1.api.amazonwebservices.com.cn",
                "sts.cn-northwest-1.api.amazonwebservices.com.cn",
            ),
            (
                GovCloud,
                "us-gov-east-1",
                true,
                false,
                "ec2.us-gov-east-1.amazonaws.com",
                "sts.us-gov-west-1.amazonaws.com",
            ),
            (GovCloud, "us-gov-east-1", true, true, "ec2-fips.us-gov-east-1.api.aws", "sts-fips.us-gov-west-1.api.aws"),
            (
                Europe,
                "eusc-de-east-1",
                false,
                false,
                "ec2.eusc-de-east-1.amazonaws.eu",
                "sts.eusc-de-east-1.amazonaws.eu",
            ),
        ] {
            let hosts = Hosts { fips, dual_stack, ..hosts(partition) };
            let region = region(name);
            assert_eq!(hosts.url_of(Service::Region(&region)).unwrap().as_str(), format!("https://{ec2}/"));
            assert_eq!(hosts.url_of(Service::Sts).unwrap().as_str(), format!("https://{sts}/"));
            assert_eq!(hosts.region_of(Service::Sts).as_str(), partition.home_region());
            for service in [Service::Region(&region), Service::Home, Service::Sts] {
                assert!(is_api_host(hosts.url_of(service).unwrap().host_str().unwrap()));
            }
        }
    }

    #[test]
    fn regions_of_other_partitions_are_not_called() {
        for name in ["cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "evil", "_", "A"] {
            assert_eq!(hosts(Partition::Commercial).url_of(Service::Region(&region(name))), None, "{name}");
        }
    }

    #[test]
    fn hosts_of_customers_are_not_the_vendors() {
        for host in [
            "abc123.execute-api.us-east-1.amazonaws.com",
            "ec2.execute-api.us-east-1.amazonaws.com",
            "ec2.us-east-1.amazonaws.com.evil.example",
            "ec2.us-east-1.elb.amazonaws.com",
            "bucket.s3.amazonaws.com",
            "ec2.s3.amazonaws.com",
            "vpce-1.ec2.us-east-1.vpce.amazonaws.com",
            "ec2.us-east-1.amazonaws.com.cn",
            "ec2.cn-north-1.amazonaws.com",
            "ec2.us-east-1.amazonaws.eu",
            "s3.us-east-1.amazonaws.com",
            "ec2-1-2-3-4.us-east-1.amazonaws.com",
            "sts.amazonaws.com",
            "ec2.amazonaws.com",
            "ec2.us-east-1.on.aws",
            "us-east-1.amazonaws.com",
            "amazonaws.com",
            "",
        ] {
            assert!(!is_api_host(host), "{host}");
        }
    }

    #[test]
    fn every_place_of_a_given_endpoint_is_that_endpoint() {
        let allowed = AllowedEndpoints::parse(&["http://127.0.0.1:8080"]).unwrap();
        let endpoint = Some(allowed.check(Provider::Aws, "http://127.0.0.1:8080").unwrap());
        let hosts = Hosts { endpoint, ..hosts(Partition::Commercial) };
        let anywhere = region("simulated-1");
        for service in [Service::Region(&anywhere), Service::Home, Service::Sts] {
            assert_eq!(hosts.url_of(service).unwrap().as_str(), "http://127.0.0.1:8080/");
        }
    }
}
