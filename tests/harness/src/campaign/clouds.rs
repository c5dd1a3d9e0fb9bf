//! The simulated clouds that a campaign plays in: who is there, with which keys, and which images they own.

use serde_json::{Value, json};

/// Whose cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cloud {
    Alibaba,
    Huawei,
}

/// What every secret begins with: it must never be seen where it does not belong.
pub(super) const CANARY: &str = "CanarySecretOfTheCampaign";

/// What a cloud may say, and a status may not: it colours a terminal, and turns the direction of what follows.
pub(super) const HOSTILE: &str = "golden\u{1b}[31m\u{202e}txt";

/// Owners at each cloud.
pub(super) const OWNERS: u32 = 2;
/// Images of each owner.
pub(super) const IMAGES: u32 = 24;
/// Those that may be wished as recipients of an owner's images.
pub(super) const RECIPIENTS: u32 = 9;
/// The owner at Alibaba Cloud whose images may have fewer, and how many.
const LIMITED: u32 = 1;
const LIMIT: u32 = 6;
/// Those that nobody ever wishes.
pub(super) const STRANGERS: u32 = 3;
/// Those to whom a tenant who means harm wants to give an owner's images.
pub(super) const ACCOMPLICES: u32 = 3;
/// Images of each owner, after [`IMAGES`], that the first recipients have from the beginning, and how many those are.
pub(super) const SETTLED_IMAGES: u32 = 2;
pub(super) const SETTLED_RECIPIENTS: u32 = 3;
/// Recipients that answer, at Huawei Cloud.
pub(super) const RECEIVERS: u32 = 2;
/// Keys of each account that has any.
pub(super) const KEYS: usize = 2;

/// Number of the first stranger among an owner's circle.
const FIRST_STRANGER: u32 = 50;

/// Number of the first accomplice there.
const FIRST_ACCOMPLICE: u32 = 70;

/// An account at a cloud: an owner, or one of the circle it shares with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seat {
    pub(super) cloud: Cloud,
    pub(super) owner: u32,
    /// 0 for the owner itself.
    pub(super) party: u32,
}

impl Seat {
    pub(super) fn owner(cloud: Cloud, owner: u32) -> Self {
        Self { cloud, owner, party: 0 }
    }

    pub(super) fn recipient(self, n: u32) -> Self {
        Self { party: 1 + n, ..self }
    }

    pub(super) fn stranger(self, n: u32) -> Self {
        Self { party: FIRST_STRANGER + n, ..self }
    }

    pub(super) fn accomplice(self, n: u32) -> Self {
        Self { party: FIRST_ACCOMPLICE + n, ..self }
    }

    /// As whom it owns and receives images: an account, a project.
    pub(super) fn id(self) -> String {
        let Self { owner, party, .. } = self;
        match self.cloud {
            Cloud::Alibaba if party == 0 => format!("20000000{owner:04}0000"),
            Cloud::Alibaba => format!("10000000{owner:04}{party:04}"),
            Cloud::Huawei => format!("b{owner:011x}{party:020x}"),
        }
    }

    fn domain(self) -> String {
        format!("d{:011x}{:020x}", self.owner, self.party)
    }

    /// Another project of its, in the same region, without any images.
    pub(super) fn other_project(self) -> String {
        format!("e{:011x}{:020x}", self.owner, self.party)
    }

    fn far_project(self) -> String {
        format!("c{:011x}{:020x}", self.owner, self.party)
    }

    /// Name of its `CloudAccount` and of its Secret.
    pub(super) fn name(self) -> String {
        format!("{}-{}-{}", self.cloud.word(), self.owner, self.party)
    }

    /// The owner of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Cloud::ALL.into_iter().flat_map(Cloud::owners).find(|seat| seat.name() == name)
    }

    pub(super) fn key(self, n: usize) -> (String, String) {
        let who = format!("{}{:04}{:04}{n}", self.cloud.word(), self.owner, self.party);
        (format!("LTAIchaos{who}"), format!("{CANARY}{who}"))
    }

    /// Its `CloudAccount`'s spec, without the endpoint.
    pub(super) fn account(self) -> Value {
        let credentials = json!({"secretRef": {"name": self.name()}});
        match self.cloud {
            Cloud::Alibaba => {
                let mut spec = json!({"alibaba":
                    {"accountID": self.id(), "site": "International", "credentials": credentials}});
                if let Some(fields) = spec.as_object_mut().filter(|_| self.is_limited()) {
                    fields.insert("limits".to_owned(), json!({"recipientsPerImage": LIMIT}));
                }
                spec
            }
            Cloud::Huawei => {
                let mut spec = json!({"huawei": {"domainID": self.domain(), "site": "China", "credentials": credentials,
                    "projects": [{"region": self.cloud.region(), "projectID": self.id()}]}});
                if let Some(fields) = spec.as_object_mut().filter(|_| self.party > 0) {
                    fields.insert("inventory".to_owned(), json!({"regions": [self.cloud.region()]}));
                }
                spec
            }
        }
    }

    /// Id of one of its images.
    pub(super) fn image(self, n: u32) -> String {
        match self.cloud {
            Cloud::Alibaba => format!("m-bp1chaos{:04}{n:04}", self.owner),
            Cloud::Huawei => format!("{:08x}-0000-4000-8000-{n:012x}", self.owner),
        }
    }

    /// Whether its images may have fewer recipients than wanted.
    pub(super) fn is_limited(self) -> bool {
        self.cloud == Cloud::Alibaba && self.owner == LIMITED
    }

    fn is_known(self) -> bool {
        self.party == 0 || (self.cloud == Cloud::Huawei && self.party <= RECEIVERS)
    }

    fn keys(self) -> Vec<(String, String)> {
        (0..if self.is_known() { KEYS } else { 0 }).map(|n| self.key(n)).collect()
    }

    /// The owner and everybody around it.
    fn circle(self) -> impl Iterator<Item = Self> {
        let strangers = (0..STRANGERS).map(move |n| self.stranger(n));
        let accomplices = (0..ACCOMPLICES).map(move |n| self.accomplice(n));
        [self].into_iter().chain((0..RECIPIENTS).map(move |n| self.recipient(n))).chain(strangers).chain(accomplices)
    }
}

impl Cloud {
    pub(super) const ALL: [Self; 2] = [Self::Alibaba, Self::Huawei];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Alibaba => "alibaba",
            Self::Huawei => "huawei",
        }
    }

    pub(super) fn region(self) -> &'static str {
        match self {
            Self::Alibaba => "cn-hangzhou",
            Self::Huawei => "cn-north-4",
        }
    }

    /// The read that lists who has an image.
    pub(super) fn listing(self) -> &'static str {
        match self {
            Self::Alibaba => "DescribeImageSharePermission",
            Self::Huawei => "ListImageMembers",
        }
    }

    /// The read that lists images.
    pub(super) fn listing_images(self) -> &'static str {
        match self {
            Self::Alibaba => "DescribeImages",
            Self::Huawei => "ListImages",
        }
    }

    /// The write by which somebody gets an image.
    pub(super) fn adding(self) -> &'static str {
        match self {
            Self::Alibaba => "ModifyImageSharePermission",
            Self::Huawei => "BatchAddMembers",
        }
    }

    /// The write by which somebody loses an image.
    pub(super) fn removing(self) -> &'static str {
        match self {
            Self::Alibaba => "ModifyImageSharePermission",
            Self::Huawei => "BatchDeleteMembers",
        }
    }

    /// The write by which an image is copied elsewhere.
    pub(super) fn copying(self) -> &'static str {
        match self {
            Self::Alibaba => "CopyImage",
            Self::Huawei => "CopyImageCrossRegion",
        }
    }

    /// Where copies go.
    pub(super) fn elsewhere(self) -> &'static str {
        match self {
            Self::Alibaba => "cn-hongkong",
            Self::Huawei => "cn-south-1",
        }
    }

    /// The type of its recipients.
    pub(super) fn recipient_type(self) -> &'static str {
        match self {
            Self::Alibaba => "Account",
            Self::Huawei => "Project",
        }
    }

    pub(super) fn owners(self) -> impl Iterator<Item = Seat> {
        (0..OWNERS).map(move |owner| Seat::owner(self, owner))
    }
}

fn projects(seat: Seat) -> Value {
    let (here, elsewhere) = (Cloud::Huawei.region(), Cloud::Huawei.elsewhere());
    let other = json!({"id": seat.other_project(), "region": here});
    let mut projects =
        vec![json!({"id": seat.id(), "region": here}), json!({"id": seat.far_project(), "region": elsewhere})];
    projects.extend((seat.party == 0).then_some(other));
    Value::Array(projects)
}

/// Both clouds as a world file.
pub(super) fn world() -> Value {
    let (alibaba, huawei) = (Cloud::Alibaba, Cloud::Huawei);
    let accounts = alibaba.owners().flat_map(Seat::circle).map(|seat| {
        let keys = seat.keys().into_iter().map(|(id, secret)| json!({"id": id, "secret": secret}));
        json!({"id": seat.id(), "site": "International", "keys": keys.collect::<Vec<_>>()})
    });
    let all = |cloud: Cloud| cloud.owners().flat_map(|owner| (0..IMAGES + SETTLED_IMAGES).map(move |n| (owner, n)));
    let settled = |owner: Seat, n: u32| {
        (0..SETTLED_RECIPIENTS).filter(move |_| n >= IMAGES).map(move |n| owner.recipient(n).id())
    };
    let images = all(alibaba).map(|(owner, n)| {
        json!({"id": owner.image(n), "region": alibaba.region(), "owner": owner.id(), "name": HOSTILE,
            "sharedWith": settled(owner, n).collect::<Vec<_>>()})
    });
    let domains = huawei.owners().flat_map(Seat::circle).map(|seat| {
        let keys = seat.keys().into_iter().map(|(ak, sk)| json!({"ak": ak, "sk": sk}));
        json!({"id": seat.domain(), "name": seat.name(), "site": "China", "keys": keys.collect::<Vec<_>>(),
            "agencies": [{"name": "copies", "projects": [seat.far_project()]}],
            "projects": projects(seat)})
    });
    let offered = all(huawei).map(|(owner, n)| {
        let members = settled(owner, n).map(|id| json!({"type": "project", "id": id}));
        json!({"id": owner.image(n), "project": owner.id(), "name": HOSTILE, "members": members.collect::<Vec<_>>()})
    });
    // A copy whose answer was lost is listed only at its end, and long before it is asked for again.
    let rules = json!({"jobMillis": 400, "copySeconds": 1.5, "copyShownLate": true});
    json!({
        "regions": [alibaba.region(), alibaba.elsewhere()], "rules": {"copySeconds": 1},
        "accounts": accounts.collect::<Vec<_>>(), "images": images.collect::<Vec<_>>(),
        "huawei": {
            "rules": rules, "sites": {"China": [huawei.region(), huawei.elsewhere()]},
            "domains": domains.collect::<Vec<_>>(), "images": offered.collect::<Vec<_>>(),
        },
    })
}
