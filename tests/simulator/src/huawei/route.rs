//! Which operation a method and a path come to. Paths are taken as they are: a slash too many is another path.

use crate::chassis::names::{AccountId, ImageId};
use percent_encoding::percent_decode_str;

/// Which version document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// All of the image service.
    Image,
    /// Version 2 of the image service.
    ImageV2,
    /// Version 3 of the identity service.
    IdentityV3,
}

/// An operation the simulator offers, with what its path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operation {
    ShowVersion { version: Version },
    CreateToken,
    CreateTemporaryKey,
    ListProjects,
    ListDomains,
    ListAuthProjects,
    ListRegions,
    BatchAddMembers,
    BatchDeleteMembers,
    BatchUpdateMembers,
    ListImageMembers { project: AccountId, image: ImageId },
    ShowImageMember { project: AccountId, image: ImageId, member: String },
    ShowJob { project: AccountId, job: String },
    ShowJobProgress { job: String },
    ShowImageQuota,
    ListSystems,
    ListImages,
    CreateImage,
    UpdateImage { image: ImageId },
    NativeList,
    NativeShow { image: ImageId },
    NativeUpdate { image: ImageId },
    NativeTag { image: ImageId, tag: String },
    ShowSchema { name: String },
    ListTags { project: AccountId, image: ImageId },
    ListProjectTags { project: AccountId },
    ListByTags { project: AccountId },
    AddTag { project: AccountId, image: ImageId },
    ChangeTags { project: AccountId, image: ImageId },
    DeleteTag { project: AccountId, image: ImageId, key: String },
    DeleteImage { image: ImageId },
    CopyInRegion { image: ImageId },
    CopyCrossRegion { image: ImageId },
    AddMember { image: ImageId },
    UpdateMember { image: ImageId, member: String },
    ListMembers { image: ImageId },
    ShowMember { image: ImageId, member: String },
    DeleteMember { image: ImageId, member: String },
}

impl Operation {
    /// The operation of a request; `None` where the vendor has none, or this simulator has not.
    pub(super) fn find(method: &str, path: &str) -> Option<Self> {
        let decode = |part: &str| percent_decode_str(part).decode_utf8().ok().map(std::borrow::Cow::into_owned);
        let parts: Vec<String> = path.strip_prefix('/')?.split('/').map(decode).collect::<Option<_>>()?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let image = |id: &str| ImageId::from(id);
        let project = |id: &str| AccountId::from(id);
        Some(match (method, parts.as_slice()) {
            ("GET", [""]) => Self::ShowVersion { version: Version::Image },
            ("GET", ["v2"] | ["v2", ""]) => Self::ShowVersion { version: Version::ImageV2 },
            ("GET", ["v3"] | ["v3", ""]) => Self::ShowVersion { version: Version::IdentityV3 },
            ("POST", ["v3", "auth", "tokens"]) => Self::CreateToken,
            ("POST", ["v3.0", "OS-CREDENTIAL", "securitytokens"]) => Self::CreateTemporaryKey,
            ("GET", ["v3", "auth", "projects"]) => Self::ListAuthProjects,
            ("GET", ["v3", "projects"]) => Self::ListProjects,
            ("GET", ["v3", "auth", "domains"]) => Self::ListDomains,
            ("GET", ["v3", "regions"]) => Self::ListRegions,
            ("POST", ["v1", "cloudimages", "members"]) => Self::BatchAddMembers,
            ("DELETE", ["v1", "cloudimages", "members"]) => Self::BatchDeleteMembers,
            ("PUT", ["v1", "cloudimages", "members"]) => Self::BatchUpdateMembers,
            ("GET", ["v1", "cloudimages", "quota"]) => Self::ShowImageQuota,
            ("GET", ["v1", "cloudimages", "os_version"]) => Self::ListSystems,
            ("GET", ["v1", "cloudimages", "job", id]) => Self::ShowJobProgress { job: (*id).to_owned() },
            ("POST", ["v1" | "v2.1", "cloudimages", id, "copy"]) => Self::CopyInRegion { image: image(id) },
            ("POST", ["v1", "cloudimages", id, "cross_region_copy"]) => Self::CopyCrossRegion { image: image(id) },
            ("GET", ["v1", own, "jobs", id]) => Self::ShowJob { project: project(own), job: (*id).to_owned() },
            ("GET", ["v1", own, "cloudimages", id, "members"]) => {
                Self::ListImageMembers { project: project(own), image: image(id) }
            }
            ("GET", ["v1", own, "cloudimages", id, "members", member]) => {
                Self::ShowImageMember { project: project(own), image: image(id), member: (*member).to_owned() }
            }
            ("GET", ["v2", "cloudimages"]) => Self::ListImages,
            ("POST", ["v2", "cloudimages", "action"]) => Self::CreateImage,
            ("PATCH", ["v2", "cloudimages", id]) => Self::UpdateImage { image: image(id) },
            ("GET", ["v2", "images"]) => Self::NativeList,
            ("GET", ["v2", "images", id]) => Self::NativeShow { image: image(id) },
            ("PATCH", ["v2", "images", id]) => Self::NativeUpdate { image: image(id) },
            ("PUT", ["v2", "images", id, "tags", tag]) => Self::NativeTag { image: image(id), tag: (*tag).to_owned() },
            ("GET", ["v2", "schemas", name]) => Self::ShowSchema { name: (*name).to_owned() },
            ("GET", ["v2", own, "images", "tags"]) => Self::ListProjectTags { project: project(own) },
            ("POST", ["v2", own, "images", "resource_instances", "action"]) => {
                Self::ListByTags { project: project(own) }
            }
            ("GET", ["v2", own, "images", id, "tags"]) => Self::ListTags { project: project(own), image: image(id) },
            ("POST", ["v2", own, "images", id, "tags"]) => Self::AddTag { project: project(own), image: image(id) },
            ("POST", ["v2", own, "images", id, "tags", "action"]) => {
                Self::ChangeTags { project: project(own), image: image(id) }
            }
            ("DELETE", ["v2", own, "images", id, "tags", key]) => {
                Self::DeleteTag { project: project(own), image: image(id), key: (*key).to_owned() }
            }
            ("DELETE", ["v2", "images", id]) => Self::DeleteImage { image: image(id) },
            ("POST", ["v2", "images", id, "members"]) => Self::AddMember { image: image(id) },
            ("GET", ["v2", "images", id, "members"]) => Self::ListMembers { image: image(id) },
            ("PUT", ["v2", "images", id, "members", member]) => {
                Self::UpdateMember { image: image(id), member: (*member).to_owned() }
            }
            ("GET", ["v2", "images", id, "members", member]) => {
                Self::ShowMember { image: image(id), member: (*member).to_owned() }
            }
            ("DELETE", ["v2", "images", id, "members", member]) => {
                Self::DeleteMember { image: image(id), member: (*member).to_owned() }
            }
            _ => return None,
        })
    }

    /// The operation's name, as the vendor's SDKs have it.
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::ShowVersion { version: Version::IdentityV3 } => "KeystoneShowVersion",
            Self::ShowVersion { .. } => "ListVersions",
            Self::ListAuthProjects => "KeystoneListAuthProjects",
            Self::CreateImage => "CreateImage",
            Self::UpdateImage { .. } => "UpdateImage",
            Self::NativeList => "GlanceListImages",
            Self::NativeShow { .. } => "GlanceShowImage",
            Self::NativeUpdate { .. } => "GlanceUpdateImage",
            Self::NativeTag { .. } => "GlanceCreateTag",
            Self::ShowSchema { .. } => "GlanceListImageSchemas",
            Self::ListTags { .. } => "ListImageTags",
            Self::ListProjectTags { .. } => "ListImagesTags",
            Self::ListByTags { .. } => "ListImageByTags",
            Self::AddTag { .. } => "AddImageTag",
            Self::ChangeTags { .. } => "BatchAddOrDeleteTags",
            Self::DeleteTag { .. } => "DeleteImageTag",
            Self::CreateToken => "KeystoneCreateUserTokenByPassword",
            Self::CreateTemporaryKey => "CreateTemporaryAccessKey",
            Self::ListProjects => "KeystoneListProjects",
            Self::ListDomains => "KeystoneListAuthDomains",
            Self::ListRegions => "KeystoneListRegions",
            Self::BatchAddMembers => "BatchAddMembers",
            Self::BatchDeleteMembers => "BatchDeleteMembers",
            Self::BatchUpdateMembers => "BatchUpdateMembers",
            Self::ListImageMembers { .. } => "ListImageMembers",
            Self::ShowImageMember { .. } => "ShowImageMember",
            Self::ShowJob { .. } => "ShowJob",
            Self::ShowJobProgress { .. } => "ShowJobProgress",
            Self::ShowImageQuota => "ShowImageQuota",
            Self::ListSystems => "ListOsVersions",
            Self::ListImages => "ListImages",
            Self::DeleteImage { .. } => "GlanceDeleteImage",
            Self::CopyInRegion { .. } => "CopyImageInRegion",
            Self::CopyCrossRegion { .. } => "CopyImageCrossRegion",
            Self::AddMember { .. } => "GlanceAddImageMember",
            Self::UpdateMember { .. } => "GlanceUpdateImageMember",
            Self::ListMembers { .. } => "GlanceListImageMembers",
            Self::ShowMember { .. } => "GlanceShowImageMember",
            Self::DeleteMember { .. } => "GlanceDeleteImageMember",
        }
    }

    /// The image in the path.
    pub(super) fn image(&self) -> Option<&ImageId> {
        match self {
            Self::ListImageMembers { image, .. }
            | Self::ShowImageMember { image, .. }
            | Self::UpdateImage { image }
            | Self::NativeShow { image }
            | Self::NativeUpdate { image }
            | Self::NativeTag { image, .. }
            | Self::ListTags { image, .. }
            | Self::AddTag { image, .. }
            | Self::ChangeTags { image, .. }
            | Self::DeleteTag { image, .. }
            | Self::DeleteImage { image }
            | Self::CopyInRegion { image }
            | Self::CopyCrossRegion { image }
            | Self::AddMember { image }
            | Self::UpdateMember { image, .. }
            | Self::ListMembers { image }
            | Self::ShowMember { image, .. }
            | Self::DeleteMember { image, .. } => Some(image),
            _ => None,
        }
    }

    /// The project in the path.
    pub(super) fn project(&self) -> Option<&AccountId> {
        match self {
            Self::ListImageMembers { project, .. }
            | Self::ShowImageMember { project, .. }
            | Self::ListTags { project, .. }
            | Self::ListProjectTags { project }
            | Self::ListByTags { project }
            | Self::AddTag { project, .. }
            | Self::ChangeTags { project, .. }
            | Self::DeleteTag { project, .. }
            | Self::ShowJob { project, .. } => Some(project),
            _ => None,
        }
    }

    /// Whether it takes parameters in its query; those of the others have no effect.
    pub(super) fn reads_query(&self) -> bool {
        matches!(
            self,
            Self::CreateToken
                | Self::ListProjects
                | Self::ListImages
                | Self::NativeList
                | Self::ListSystems
                | Self::ListImageMembers { .. }
                | Self::ListMembers { .. }
        )
    }

    /// Whether it is the identity service's.
    pub(super) fn is_identity(&self) -> bool {
        matches!(
            self,
            Self::ShowVersion { version: Version::IdentityV3 }
                | Self::CreateToken
                | Self::CreateTemporaryKey
                | Self::ListProjects
                | Self::ListAuthProjects
                | Self::ListDomains
                | Self::ListRegions
        )
    }

    /// The job in the path.
    pub(super) fn job(&self) -> Option<&str> {
        match self {
            Self::ShowJob { job, .. } | Self::ShowJobProgress { job } => Some(job),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_a_slash_too_many_or_another_method_is_no_operation() {
        assert_eq!(Operation::find("POST", "/v1/cloudimages/members"), Some(Operation::BatchAddMembers));
        for (method, path) in [
            ("POST", "/v1/cloudimages/members/"),
            ("PATCH", "/v1/cloudimages/members"),
            ("GET", "//v2/cloudimages"),
            ("GET", "/v2/cloudimages/x"),
            ("GET", "/v1/%ff/jobs/1"),
            ("GET", ""),
        ] {
            assert_eq!(Operation::find(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn a_member_in_a_path_may_be_an_encoded_urn() {
        let found = Operation::find("GET", "/v2/images/i/members/organizations%3A%3Aa%3Aou%3Ao-b%2Fou-c").unwrap();
        assert_eq!(found, Operation::ShowMember { image: "i".into(), member: "organizations::a:ou:o-b/ou-c".into() });
    }
}
