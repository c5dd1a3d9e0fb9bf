//! The hosts of each vendor's APIs that this operator calls, and no others: customers choose names below the same domains, for
//! buckets and load balancers.

use crate::clouds::aws::is_api_host;
use crate::domain::provider::Provider;

/// Alibaba Cloud's services that may be called in a region: from everywhere, and from a VPC of that region.
const ALIBABA_SERVICES: [&str; 4] = ["ecs", "ecs-vpc", "sts", "sts-vpc"];

/// Alibaba Cloud's hosts without a region, and the one of Hangzhou (endpoint map of the vendor's SDK for ECS 2014-05-26).
const ALIBABA_CENTRAL: [&str; 3] = ["ecs", "sts", "ecs-cn-hangzhou"];

/// Whether a host, in lower case, is one of the vendor's APIs. `OpenStack` clouds have no vendor.
pub(super) fn is_vendor_host(provider: Provider, host: &str) -> bool {
    match provider {
        Provider::Alibaba => planted!("suffix-without-dot", is_alibaba(host), host.ends_with("aliyuncs.com")),
        Provider::Huawei => {
            [".myhuaweicloud.com", ".myhuaweicloud.eu"].into_iter().any(|domain| is_huawei(host, domain))
        }
        Provider::Aws => planted!("aws-suffix", is_api_host(host), host.ends_with(".amazonaws.com")),
        Provider::OpenStack => false,
    }
}

fn is_alibaba(host: &str) -> bool {
    let Some(name) = host.strip_suffix(".aliyuncs.com") else { return false };
    match name.split_once('.') {
        Some((service, region)) => ALIBABA_SERVICES.contains(&service) && is_region(region),
        None => ALIBABA_CENTRAL.contains(&name),
    }
}

fn is_huawei(host: &str, domain: &str) -> bool {
    let Some(name) = host.strip_suffix(domain) else { return false };
    match name.split_once('.') {
        Some((service, region)) => ["ims", "iam"].contains(&service) && is_region(region),
        None => name == "iam",
    }
}

/// `cn-hangzhou`, `my-kualalumpur-1`: a country in two letters, then words. `oss-cn-hangzhou` is none: below it, customers choose
/// names.
fn is_region(label: &str) -> bool {
    let country = label.split('-').next().unwrap_or_default();
    let plain = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    plain && country.len() == 2 && country.len() < label.len() && country.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_apis_are_the_vendors() {
        for (provider, host) in [
            (Provider::Alibaba, "ecs.aliyuncs.com"),
            (Provider::Alibaba, "sts.aliyuncs.com"),
            (Provider::Alibaba, "ecs-cn-hangzhou.aliyuncs.com"),
            (Provider::Alibaba, "ecs.ap-southeast-1.aliyuncs.com"),
            (Provider::Alibaba, "ecs.cn-qingdao-nebula.aliyuncs.com"),
            (Provider::Alibaba, "ecs-vpc.cn-hangzhou.aliyuncs.com"),
            (Provider::Alibaba, "sts-vpc.cn-hangzhou-finance.aliyuncs.com"),
            (Provider::Huawei, "ims.cn-north-4.myhuaweicloud.com"),
            (Provider::Huawei, "iam.myhuaweicloud.com"),
            (Provider::Huawei, "ims.eu-west-101.myhuaweicloud.eu"),
        ] {
            assert!(is_vendor_host(provider, host), "{host}");
        }
    }

    /// Object storage and load balancers, whose names customers choose.
    #[test]
    fn names_that_customers_choose_below_the_vendors_domain_are_not() {
        for host in [
            "ecs.oss-cn-hangzhou.aliyuncs.com",
            "golden.oss-cn-hangzhou.aliyuncs.com",
            "ecs.cn-hangzhou.alb.aliyuncs.com",
            "alb-1.cn-hangzhou.alb.aliyuncs.com",
            "ram.aliyuncs.com",
            "ecs.cn-hangzhou.aliyuncs.com.evil.example",
            "ecs.cn-.aliyuncs.com.",
            "ecs.cn.aliyuncs.com",
            "aliyuncs.com",
            "evilaliyuncs.com",
        ] {
            assert!(!is_vendor_host(Provider::Alibaba, host), "{host}");
        }
        for host in [
            "golden.obs.cn-north-4.myhuaweicloud.com",
            "ims.obs.cn-north-4.myhuaweicloud.com",
            "ims.myhuaweicloud.com",
            "obs.cn-north-4.myhuaweicloud.com",
            "ims.cn-north-4.myhuaweicloud.com.cn",
        ] {
            assert!(!is_vendor_host(Provider::Huawei, host), "{host}");
        }
    }
}
