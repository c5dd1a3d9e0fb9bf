//! What the vendor refuses to copy, and in which order it looks.

use super::*;
use crate::chassis::effect::CopyRequest;

/// A copy of `id` within Hangzhou asked for by account `n`.
fn copy_as(world: &mut World, n: usize, id: &str, request: &CopyRequest) -> Result<Encryption, String> {
    let (caller, region) = (account(n), RegionId::from(REGION));
    let (image, _) = world.copy_image(&caller, &region, &ImageId::from(id), request, at(0)).map_err(|r| r.code)?;
    Ok(world.image(&image).unwrap().spec().encryption)
}

fn copy(world: &mut World, request: &CopyRequest) -> Result<Encryption, String> {
    copy_as(world, 0, "m-golden", request)
}

fn to(region: &str) -> CopyRequest {
    CopyRequest { destination: Some(RegionId::from(region)), ..CopyRequest::default() }
}

fn named(name: &str) -> CopyRequest {
    CopyRequest { name: Some(name.to_owned()), ..CopyRequest::default() }
}

fn refused(code: &str) -> Result<Encryption, String> {
    Err(code.to_owned())
}

#[test]
fn regions_are_those_open_to_the_caller() {
    let images = format!("{}, {{id: m-b, region: cn-beijing, owner: '{}'}}", image(""), account(91));
    let mut world = world("", &images);
    assert_eq!(copy(&mut world, &to("cn-nowhere")), refused("DestinationRegion.NotFound"));
    let mut from = |n, region: &str, id: &str, request: &CopyRequest| {
        let copied = world.copy_image(&account(n), &RegionId::from(region), &ImageId::from(id), request, at(0));
        copied.map(|_| ()).map_err(|refusal| (refusal.status, refusal.code))
    };
    let source = Err((400, "SourceRegion.NotFound".to_owned()));
    assert_eq!(from(0, "cn-nowhere", "m-golden", &to(REGION)), source);
    assert_eq!(from(91, REGION, "m-golden", &to("cn-beijing")), source);
    assert_eq!(from(91, "cn-beijing", "m-b", &to(REGION)), Err((400, "DestinationRegion.NotFound".to_owned())));
    assert_eq!(from(0, "cn-beijing", "m-golden", &to(REGION)), Err((404, "InvalidImageId.NotFound".to_owned())));
    assert_eq!(from(91, "cn-beijing", "m-b", &CopyRequest::default()), Ok(()));
}

#[test]
fn own_and_received_images_are_copied_and_no_others() {
    let others = ["system", "marketplace"]
        .map(|alias| format!("{{id: m-{alias}, region: {REGION}, owner: '1', alias: {alias}}}"));
    let public = format!("{{id: m-public, region: {REGION}, owner: '{OWNER}', public: true}}");
    let images = [image(&shared_with(1..=1)), public, others.join(", ")].join(", ");
    let mut world = world("", &images);
    for id in ["m-public", "m-system", "m-marketplace"] {
        assert_eq!(copy_as(&mut world, 1, id, &to(REGION)), refused("Forbbiden"), "{id}");
    }
    assert_eq!(copy_as(&mut world, 2, "m-golden", &to(REGION)), refused("InvalidImageId.NotFound"));
    copy_as(&mut world, 1, "m-golden", &to(REGION)).unwrap();
    copy_as(&mut world, 0, "m-public", &to(REGION)).unwrap();
}

#[test]
fn a_received_image_is_copied_within_its_region_only() {
    let mut world = world("", &image(&shared_with(1..=1)));
    assert_eq!(copy_as(&mut world, 1, "m-golden", &to("cn-beijing")), refused("OperationDenied.SameRegionOnly"));
    copy_as(&mut world, 0, "m-golden", &to("cn-beijing")).unwrap();
}

#[test]
fn only_available_images_are_copied() {
    for status in ["Creating", "Waiting", "UnAvailable", "CreateFailed", "Deprecated"] {
        let mut world = world("", &image(&format!(", status: {status}")));
        assert_eq!(copy(&mut world, &to(REGION)), refused("IncorrectImageStatus"), "{status}");
    }
}

#[test]
fn names_have_the_vendors_form() {
    let mut world = world("privateImages: null", &image(""));
    let long = format!("a{}", "b".repeat(127));
    for good in ["ab", "镜像", "Golden.1:x_y-z", "aliyu", "ACS:x", "httpx", &long] {
        copy(&mut world, &named(good)).unwrap();
    }
    let longer = format!("{long}b");
    for bad in
        ["a", "1a", "-a", ".a", "a b", "a/b", "aliyun-3", "acs:x", "http://ab", "https://ab", "a\u{2028}b", &longer]
    {
        assert_eq!(copy(&mut world, &named(bad)), refused("InvalidImageName.Malformed"), "{bad}");
    }
}

#[test]
fn descriptions_have_the_vendors_form() {
    let mut world = world("privateImages: null", &image(""));
    let described = |text: &str| CopyRequest { description: Some(text.to_owned()), ..CopyRequest::default() };
    for good in ["ab", "1 of http://x", &"像".repeat(256)] {
        copy(&mut world, &described(good)).unwrap();
    }
    for bad in ["a", "http://x", "https://x", &"像".repeat(257)] {
        assert_eq!(copy(&mut world, &described(bad)), refused("InvalidDescription.Malformed"), "{bad}");
    }
}

#[test]
fn a_name_is_an_accounts_once_in_a_region() {
    let mut world = world("", &image(&format!(", name: gold{}", shared_with(1..=1))));
    assert_eq!(copy(&mut world, &named("gold")), refused("InvalidImageName.Duplicated"));
    copy_as(&mut world, 1, "m-golden", &named("gold")).unwrap();
    let abroad = CopyRequest { name: Some("gold".to_owned()), ..to("cn-beijing") };
    copy(&mut world, &abroad).unwrap();
    assert_eq!(copy(&mut world, &abroad), refused("InvalidImageName.Duplicated"));
}

#[test]
fn an_account_has_as_many_private_images_as_it_may() {
    let mut two = world("privateImages: 2", &image(""));
    copy(&mut two, &to("cn-beijing")).unwrap();
    assert_eq!(copy(&mut two, &to(REGION)), refused("QuotaExceed.Image"));
    let patch = AccountPatch { private_images: Some(3), ..AccountPatch::default() };
    two.patch_account(&account(0), patch);
    copy(&mut two, &to(REGION)).unwrap();
    assert_eq!(copy(&mut world("privateImages: 0", &image("")), &to(REGION)), refused("QuotaExceed.Image"));
    let mut default = world("", &image(""));
    for _ in 0..99 {
        copy(&mut default, &to(REGION)).unwrap();
    }
    assert_eq!(copy(&mut default, &to(REGION)), refused("QuotaExceed.Image"));
}

#[test]
fn an_image_past_the_size_limit_is_not_copied() {
    let images =
        format!("{}, {{id: m-large, region: {REGION}, owner: '{OWNER}', sizeGiB: 51}}", image(", sizeGiB: 50"));
    let mut world = world("copySizeGiB: 50", &images);
    copy(&mut world, &to(REGION)).unwrap();
    assert_eq!(copy_as(&mut world, 0, "m-large", &to(REGION)), refused("SizeExceed.Image"));
}

fn encrypting(encrypted: Option<bool>, key: Option<&str>) -> CopyRequest {
    CopyRequest { encrypted, kms_key: key.map(str::to_owned), ..CopyRequest::default() }
}

/// The world of one image, in which the owner and account 1 have the key `k`.
fn with_keys(extra: &str) -> World {
    let mut world = world("", &image(extra));
    for n in [0, 1] {
        world.accounts.get_mut(&account(n)).unwrap().kms_keys.push("k".to_owned());
    }
    world
}

#[test]
fn encrypted_images_are_copied_with_a_key_of_the_callers_where_the_source_has_none_to_give() {
    let mut service = with_keys(", encryption: ServiceKey");
    assert_eq!(copy(&mut service, &encrypting(None, None)), refused("OperationDeined.EncryptedSnapshot"));
    assert_eq!(copy(&mut service, &encrypting(Some(true), None)), refused("OperationDeined.EncryptedSnapshot"));
    assert_eq!(copy(&mut service, &encrypting(Some(true), Some("k"))), Ok(Encryption::CustomerKey));
    let mut customer = with_keys(&format!(", encryption: CustomerKey{}", shared_with(1..=1)));
    assert_eq!(copy(&mut customer, &encrypting(None, None)), Ok(Encryption::CustomerKey));
    let received = |world: &mut World, request: &CopyRequest| copy_as(world, 1, "m-golden", request);
    assert_eq!(received(&mut customer, &encrypting(None, None)), refused("OperationDeined.EncryptedSnapshot"));
    assert_eq!(received(&mut customer, &encrypting(None, Some("k"))), Ok(Encryption::CustomerKey));
}

#[test]
fn keys_must_be_the_callers_and_agree_with_what_is_asked() {
    let mut plain = with_keys("");
    assert_eq!(copy(&mut plain, &encrypting(Some(true), Some("x"))), refused("InvalidParameter.KMSKeyId.NotFound"));
    assert_eq!(copy(&mut plain, &encrypting(Some(false), Some("k"))), refused("InvalidParameter.EncryptedIllegal"));
    assert_eq!(copy(&mut plain, &encrypting(Some(true), Some("k"))), Ok(Encryption::CustomerKey));
    assert_eq!(copy(&mut plain, &encrypting(Some(true), None)), Ok(Encryption::ServiceKey));
    assert_eq!(copy(&mut plain, &encrypting(Some(false), None)), Ok(Encryption::None));
    let mut encrypted = with_keys(", encryption: CustomerKey");
    assert_eq!(copy(&mut encrypted, &encrypting(Some(false), None)), refused("InvalidParameter.EncryptedIllegal"));
}

#[test]
fn the_first_check_that_fails_is_the_one_told() {
    let extra = format!(", name: gold, status: Deprecated, encryption: CustomerKey, sizeGiB: 99{}", shared_with(1..=1));
    let mine = format!("{{id: m-mine, region: cn-beijing, owner: '{}', name: gold}}", account(1));
    let mut world = world("privateImages: 1, copySizeGiB: 50", &format!("{}, {mine}", image(&extra)));
    let mut request = CopyRequest {
        name: Some("1".to_owned()),
        description: Some("x".to_owned()),
        kms_key: Some("x".to_owned()),
        ..to("cn-nowhere")
    };
    let mut next = |code: &str, mend: &mut dyn FnMut(&mut World, &mut CopyRequest)| {
        assert_eq!(copy_as(&mut world, 1, "m-golden", &request), refused(code));
        mend(&mut world, &mut request);
    };
    next("DestinationRegion.NotFound", &mut |_, request| request.destination = Some(RegionId::from("cn-beijing")));
    next("IncorrectImageStatus", &mut |world, _| {
        let patch = ImagePatch { status: Some(Status::Available), ..ImagePatch::default() };
        world.patch_image(&ImageId::from("m-golden"), patch, at(0)).unwrap();
    });
    next("InvalidImageName.Malformed", &mut |_, request| request.name = Some("gold".to_owned()));
    next("InvalidImageName.Duplicated", &mut |_, request| request.name = Some("silver".to_owned()));
    next("InvalidDescription.Malformed", &mut |_, request| request.description = None);
    next("QuotaExceed.Image", &mut |world, _| {
        let patch = RulesPatch { private_images: Some(9), ..RulesPatch::default() };
        world.patch_rules(patch);
    });
    next("OperationDenied.SameRegionOnly", &mut |_, request| request.destination = None);
    next("SizeExceed.Image", &mut |world, _| {
        let patch = ImagePatch { size_gib: Some(50), ..ImagePatch::default() };
        world.patch_image(&ImageId::from("m-golden"), patch, at(0)).unwrap();
    });
    next("InvalidParameter.KMSKeyId.NotFound", &mut |_, request| request.kms_key = None);
    next("OperationDeined.EncryptedSnapshot", &mut |_, _| {});
    assert_eq!(world.images().count(), 2);
}
