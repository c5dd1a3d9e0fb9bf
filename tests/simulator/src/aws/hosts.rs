//! The vendor's hosts. The services are told apart by them where a client uses them, else by what a request is signed for.

use super::world_file::Partition;
use crate::chassis::names::RegionId;

/// A service of the vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    Ec2,
    Sts,
    Quotas,
}

impl Service {
    /// The service that a signature is for.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "ec2" => Some(Self::Ec2),
            "sts" => Some(Self::Sts),
            "servicequotas" => Some(Self::Quotas),
            _ => None,
        }
    }

    /// The version of its API that is simulated.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Sts => "2011-06-15",
            // In the target.
            Self::Quotas => "",
        }
    }
}

/// A host of the vendor's: which service, and of which region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    pub(super) service: Service,
    pub(super) region: RegionId,
    /// Whether it is the one without a region in its name.
    pub(super) global: bool,
}

impl Host {
    /// Reads a host with or without its port. Exact names only: everything else below the suffixes is a customer's.
    pub(super) fn read(host: &str) -> Option<Self> {
        let name = host.split(':').next()?.to_ascii_lowercase();
        if let "ec2.amazonaws.com" | "sts.amazonaws.com" = name.as_str() {
            let service = Service::of(name.get(..3)?)?;
            return Some(Self { service, region: RegionId::from("us-east-1"), global: true });
        }
        let (first, rest) = name.split_once('.')?;
        let (region, suffix) = rest.split_once('.')?;
        let region = RegionId::from(region);
        let partition = Partition::of(&region);
        let fits = region.as_str().split('-').count() >= 3 && (suffix == partition.suffix() || suffix == "api.aws");
        let service = Service::of(first.strip_suffix("-fips").unwrap_or(first)).filter(|_| fits)?;
        Some(Self { service, region, global: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_known_by_their_exact_names() {
        let read = |host: &str| Host::read(host).map(|host| (host.service, host.region.to_string()));
        let known = [
            ("ec2.eu-central-1.amazonaws.com:443", Service::Ec2, "eu-central-1"),
            ("sts.cn-north-1.amazonaws.com.cn", Service::Sts, "cn-north-1"),
            ("ec2-fips.us-east-1.amazonaws.com", Service::Ec2, "us-east-1"),
            ("ec2.us-gov-west-1.amazonaws.com", Service::Ec2, "us-gov-west-1"),
            ("ec2.eu-west-1.api.aws", Service::Ec2, "eu-west-1"),
            ("ec2.eusc-de-east-1.amazonaws.eu", Service::Ec2, "eusc-de-east-1"),
            ("sts.amazonaws.com", Service::Sts, "us-east-1"),
            ("servicequotas.eu-west-1.amazonaws.com", Service::Quotas, "eu-west-1"),
        ];
        for (host, service, region) in known {
            assert_eq!(read(host), Some((service, region.to_owned())), "{host}");
        }
        let others = [
            "x.execute-api.us-east-1.amazonaws.com",
            "ec2.us-east-1.amazonaws.com.cn",
            "ec2.cn-north-1.amazonaws.com",
            "s3.us-east-1.amazonaws.com",
            "amazonaws.com",
            "ec2.evil.amazonaws.com",
            "127.0.0.1",
            "",
        ];
        for host in others {
            assert_eq!(read(host), None, "{host}");
        }
    }
}
