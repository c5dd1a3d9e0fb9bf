use serde_json::json;

use super::*;

const IMAGE: &str = "8a64453f-71c1-4448-8994-264aae537a42";
const PROJECT: &str = "0d91420605f84fd1b3cae49ba9b42f1f";

/// As Glance 33 shows an image with properties.
fn row(changes: &Value) -> Value {
    let mut row = json!({
        "name": "golden 镜像", "disk_format": "qcow2", "container_format": "bare", "visibility": "shared", "size": 4,
        "virtual_size": null, "status": "active", "checksum": "aa11", "protected": false, "min_ram": 512, "min_disk": 10,
        "owner": PROJECT, "os_hidden": false, "os_hash_algo": "sha512", "os_hash_value": "0f0f", "id": IMAGE, "tags": ["a"],
        "created_at": "2026-11-22T05:10:07Z", "updated_at": "2026-11-22T05:10:08Z", "direct_url": "file:///x",
        "locations": [], "self": "/v2/images/x", "file": "/v2/images/x/file", "schema": "/v2/schemas/image",
        "stores": "local",
    });
    row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    row
}

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

fn content(changes: &Value) -> Result<ContentFacts, Fault> {
    read_content(row(changes).to_string().as_bytes(), &image())
}

fn copy(changes: &Value) -> Result<CopyProgress, Fault> {
    let mut row = row(&json!({ MARK: "mine" }));
    row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    read_copy(row.to_string().as_bytes(), &image(), &PrincipalId::parse(PROJECT).unwrap(), "mine")
}

#[test]
fn content_is_read_with_the_properties_that_go_with_it() {
    let taken = json!({"hw_disk_bus": "virtio", "os_distro": "debian", "img_config_drive": "mandatory", "hw:x": ""});
    let left = json!({
        "imageshare_mark": "of another copy", "os_glance_importing_to_stores": "", "base_image_ref": "x",
        "instance_uuid": "x", "owner_specified.openstack.md5": "x", "owner_id": "x", "img_signature": "x",
        "img_signature_certificate_uuid": "x", "image_location": "snapshot", "stores": "x", "not_a_text": null,
    });
    let mut changes = taken.clone();
    changes.as_object_mut().unwrap().extend(left.as_object().unwrap().clone());
    let mut properties: BTreeMap<String, String> = serde_json::from_value(taken).unwrap();
    properties.insert(SOURCE_CHECKSUM.to_owned(), "aa11".to_owned());
    let wanted = ContentFacts {
        disk_format: "qcow2".to_owned(),
        container_format: "bare".to_owned(),
        min_disk: 10,
        min_ram: 512,
        size: 4,
        hash: Some(("sha512".to_owned(), "0f0f".to_owned())),
        properties,
    };
    assert_eq!(content(&changes), Ok(wanted));
    let old = content(&json!({"os_hash_algo": null, "os_hash_value": null})).unwrap();
    assert_eq!(old.hash, Some(("md5".to_owned(), "aa11".to_owned())));
}

#[test]
fn what_cannot_be_copied_is_told_before_anything_is_read_of_it() {
    let volume = r#"[{"snapshot_id": "x", "boot_index": 0}]"#;
    for (changes, code) in [
        (json!({"size": 0, "block_device_mapping": volume}), "VolumeSnapshot"),
        (json!({"size": null, "block_device_mapping": volume}), "VolumeSnapshot"),
        (json!({"size": 0}), "NoContent"),
        (json!({"size": null}), "NoContent"),
        (json!({"status": "deactivated"}), "Deactivated"),
        (json!({"status": "killed"}), "Killed"),
        (json!({"cinder_encryption_key_id": "x"}), "Encrypted"),
        (json!({"os_encrypt_key_id": "x"}), "Encrypted"),
        (json!({"kernel_id": "x"}), "NeedsOtherImages"),
        (json!({"checksum": null, "os_hash_algo": null, "os_hash_value": null}), "ChecksumUnknown"),
        (json!({"long": "x".repeat(PROPERTY_VALUE_BYTES_MAX + 1)}), "PropertyTooLong"),
        (json!({"x".repeat(PROPERTY_NAME_BYTES_MAX + 1): ""}), "PropertyTooLong"),
        (Value::Object((0..=PROPERTIES_MAX).map(|n| (format!("p{n}"), json!("x"))).collect()), "TooManyProperties"),
    ] {
        assert_eq!(content(&changes), Err(not_copyable(code)), "{code}");
    }
    for status in ["queued", "saving", "uploading", "importing"] {
        assert_eq!(content(&json!({ "status": status })), Err(Fault::Conflict(Conflict::ImageBusy)), "{status}");
    }
    for status in ["deleted", "pending_delete"] {
        assert_eq!(content(&json!({ "status": status })), Err(Fault::NotFound(Missing::Image)), "{status}");
    }
    for changes in
        [json!({"status": "new"}), json!({"id": "another"}), json!({"disk_format": null}), json!({"min_disk": -1})]
    {
        assert_eq!(content(&changes), Err(Fault::Unintelligible), "{changes}");
    }
}

#[test]
fn a_copy_is_followed_by_its_status() {
    assert_eq!(copy(&json!({"status": "queued", "size": null, "checksum": null})), Ok(CopyProgress::Empty));
    for status in ["saving", "uploading", "importing"] {
        assert_eq!(copy(&json!({ "status": status })), Ok(CopyProgress::Running { percent: None }), "{status}");
    }
    assert_eq!(copy(&json!({"status": "killed"})), Ok(failed("Killed")));
    assert_eq!(copy(&json!({"status": "deactivated"})), Ok(failed("Deactivated")));
    for gone in [
        json!({"status": "deleted"}),
        json!({"status": "pending_delete"}),
        json!({"owner": "another"}),
        json!({"owner": null}),
        json!({ MARK: "of another" }),
        json!({ MARK: null }),
    ] {
        assert_eq!(copy(&gone), Ok(CopyProgress::Gone), "{gone}");
    }
    assert_eq!(copy(&json!({"status": "new"})), Err(Fault::Unintelligible));
}

#[test]
fn a_copy_is_made_when_the_content_is_proven_to_be_the_same() {
    let made = || CopyProgress::Made(image());
    for (source, checksum, wanted) in [
        ("sha512:0f0f", "aa11", made()),
        ("sha512:0F0F", "", made()),
        ("sha512:0f0e", "aa11", failed("ChecksumDiffers")),
        // The clouds differ in their algorithm and have MD5 in common.
        ("sha256:77", "aa11", made()),
        ("sha256:77", "aa12", failed("ChecksumDiffers")),
        ("md5:aa11", "", made()),
        ("md5:aa12", "", failed("ChecksumDiffers")),
        ("sha256:77", "", failed("ChecksumUnknown")),
        ("", "", failed("ChecksumUnknown")),
        ("nonsense", "", failed("ChecksumUnknown")),
    ] {
        let followed = copy(&json!({ SOURCE_HASH: source, SOURCE_CHECKSUM: checksum }));
        assert_eq!(followed, Ok(wanted), "{source} {checksum}");
    }
    let nothing = json!({ SOURCE_HASH: "md5:aa11", "checksum": null, "os_hash_value": null });
    assert_eq!(copy(&nothing), Ok(failed("ChecksumUnknown")));
}
