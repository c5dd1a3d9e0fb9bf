//! Forms as the vendor's SDK writes them, and the answers to them.

use super::*;

const IMAGE: &str = "ami-0123456789abcdef0";
const ORGANIZATION: &str = "arn:aws:organizations::111122223333:organization/o-abcdefghij";
const UNIT: &str = "arn:aws:organizations::111122223333:ou/o-abcdefghij/ou-abcd-12345678";

fn image() -> ImageId {
    ImageId::parse(IMAGE).unwrap()
}

fn recipient(kind: RecipientKind, id: &str) -> Recipient {
    Recipient { kind, id: PrincipalId::parse(id).unwrap() }
}

fn account(id: &str) -> Recipient {
    recipient(RecipientKind::Account, id)
}

fn organization(id: &str) -> Recipient {
    recipient(RecipientKind::Organization, id)
}

/// The form that the signature vector `share` signs.
#[test]
fn form_of_a_change_is_that_of_the_vendors_sdk() {
    let text = include_str!("../../../../tests/vectors/aws-signatures.json");
    let vectors: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut form = vec![("ImageId".to_owned(), IMAGE.to_owned())];
    form.extend(permissions("Add", &[account("123456789012"), organization(ORGANIZATION)]));
    assert_eq!(body_of(Operation::ModifyImageAttribute, &form), vectors[0]["body"].as_str().unwrap());
}

#[test]
fn every_kind_of_recipient_has_its_member_and_each_direction_its_numbers() {
    let everybody = organization(EVERYBODY);
    let mut form: Form = permissions("Add", &[organization(UNIT), account("012345678901")]).collect();
    form.extend(permissions("Remove", &[account("210987654321"), everybody, organization(ORGANIZATION)]));
    let written: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(
        written,
        [
            ("LaunchPermission.Add.1.OrganizationalUnitArn", UNIT),
            ("LaunchPermission.Add.2.UserId", "012345678901"),
            ("LaunchPermission.Remove.1.UserId", "210987654321"),
            ("LaunchPermission.Remove.2.Group", "all"),
            ("LaunchPermission.Remove.3.OrganizationArn", ORGANIZATION),
        ]
    );
}

#[test]
fn forms_are_escaped_as_the_vendors_sdk_escapes_them() {
    let form = [("Name".to_owned(), "golden 1 (é)*~/+&=%".to_owned())];
    let body = body_of(Operation::CopyImage, &form);
    assert_eq!(body, "Action=CopyImage&Version=2016-11-15&Name=golden+1+%28%C3%A9%29%2A~%2F%2B%26%3D%25");
}

/// An answer as the vendor documents it; `rows` are its permissions.
fn permissions_of(rows: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <DescribeImageAttributeResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\n  \
         <requestId>59dbff89-35bd-4eac-99ed-be587EXAMPLE</requestId>\n  <imageId>{IMAGE}</imageId>\n  \
         <launchPermission>{rows}</launchPermission>\n</DescribeImageAttributeResponse>"
    )
}

fn listed(body: &str) -> Result<Vec<Recipient>, Fault> {
    read_recipients(body.as_bytes(), &image())
}

#[test]
fn all_kinds_of_recipients_are_read() {
    let rows = format!(
        "\n<item><userId>123456789012</userId></item>\n<item><group>all</group></item>\
         <item><organizationArn>{ORGANIZATION}</organizationArn></item>\
         <item><organizationalUnitArn>{UNIT}</organizationalUnitArn></item>\
         <item><new>x</new><userId>012345678901</userId></item>"
    );
    let wanted = [
        account("123456789012"),
        organization(EVERYBODY),
        organization(ORGANIZATION),
        organization(UNIT),
        account("012345678901"),
    ];
    assert_eq!(listed(&permissions_of(&rows)), Ok(wanted.to_vec()));
    for empty in [
        permissions_of(""),
        permissions_of("\n  "),
        permissions_of("").replace("<launchPermission></launchPermission>", "<launchPermission/>"),
    ] {
        assert_eq!(listed(&empty), Ok(Vec::new()));
    }
}

#[test]
fn foreign_organizations_in_other_spellings_do_not_hide_the_rest() {
    let rows = "<item><organizationArn>arn:aws:organizations::1:organization/o-1</organizationArn></item>\
                <item><userId>123456789012</userId></item>";
    let found = listed(&permissions_of(rows)).unwrap();
    assert_eq!(found, [organization("arn:aws:organizations::1:organization/o-1"), account("123456789012")]);
}

#[test]
fn recipients_that_prove_nothing_are_unintelligible() {
    let good = permissions_of("<item><userId>123456789012</userId></item>");
    assert!(listed(&good).is_ok());
    let many = "<item><userId>123456789012</userId></item>".repeat(RECIPIENTS_MAX + 1);
    for body in [
        String::new(),
        "<html>Welcome</html>".to_owned(),
        good[..good.len() - 1].to_owned(),
        good.replace(IMAGE, "ami-0123456789abcdef1"),
        good.replace("<imageId>ami-0123456789abcdef0</imageId>", ""),
        good.replace("launchPermission", "launchPermissions"),
        good.replace("DescribeImageAttributeResponse", "DescribeImagesResponse"),
        good.replace("DescribeImageAttributeResponse", "Response"),
        permissions_of("<item/>"),
        permissions_of("<item><userId/></item>"),
        permissions_of("<item><userId>1234</userId></item>"),
        permissions_of("<item><userId>root</userId></item>"),
        permissions_of("<item><group>some</group></item>"),
        permissions_of("<item><userId>123456789012</userId><group>all</group></item>"),
        permissions_of("<item><userId>123456789012</userId><userId>123456789013</userId></item>"),
        permissions_of("<item><organizationArn>o-abcdefghij</organizationArn></item>"),
        permissions_of("<item><organizationArn>arn:aws:\u{202e}</organizationArn></item>"),
        permissions_of("<member><userId>123456789012</userId></member>"),
        permissions_of("none"),
        permissions_of(&many),
    ] {
        assert_eq!(listed(&body), Err(Fault::Unintelligible), "{}", body.chars().take(600).collect::<String>());
    }
}

#[test]
fn regions_that_the_account_may_use_are_read() {
    let body = "<DescribeRegionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId><regionInfo>\
        <item><regionName>us-east-1</regionName><regionEndpoint>ec2.us-east-1.amazonaws.com</regionEndpoint>\
        <optInStatus>opt-in-not-required</optInStatus></item>\
        <item><optInStatus>opted-in</optInStatus><regionName>af-south-1</regionName></item>\
        <item><regionName>ap-east-1</regionName><optInStatus>not-opted-in</optInStatus></item>\
        <item><regionName>eu-west-1</regionName></item></regionInfo></DescribeRegionsResponse>";
    let names: Vec<String> = read_regions(body.as_bytes()).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["us-east-1", "af-south-1", "eu-west-1"]);
    for bad in [
        body.replace("us-east-1</regionName>", "a/b</regionName>"),
        body.replace("regionInfo", "regions"),
        String::new(),
    ] {
        assert_eq!(read_regions(bad.as_bytes()), Err(Fault::Unintelligible));
    }
}

#[test]
fn identity_is_read() {
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
        <Arn>arn:aws:iam::012345678901:user/Alice</Arn><UserId>AKIAI44QH8DHBEXAMPLE</UserId><Account>012345678901</Account>\
        </GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>";
    assert_eq!(read_identity(body.as_bytes()).unwrap().as_str(), "012345678901");
    for bad in [body.replace("<Account>0", "<Account>"), body.replace("Result>", "Answer>"), "<html/>".to_owned()] {
        assert_eq!(read_identity(bad.as_bytes()), Err(Fault::Unintelligible));
    }
}

#[test]
fn write_counts_only_with_the_answer_to_it() {
    let write = |body: &str| read_write(body.as_bytes(), Operation::ModifyImageAttribute);
    for body in [
        "<ModifyImageAttributeResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>r</requestId>\
         <return>true</return></ModifyImageAttributeResponse>",
        "<ModifyImageAttributeResponse><requestId>r</requestId></ModifyImageAttributeResponse>",
    ] {
        assert_eq!(write(body), Ok(()));
    }
    for body in [
        "",
        "{}",
        "<html>Welcome</html>",
        "<ModifyImageAttributeResponse><return>false</return></ModifyImageAttributeResponse>",
        "<ModifyImageAttributeResponse><return>true</return><return>false</return></ModifyImageAttributeResponse>",
        "<ModifyImageAttributeResponse><return>true</return>",
        "<DeregisterImageResponse><return>true</return></DeregisterImageResponse>",
    ] {
        assert_eq!(write(body), Err(Fault::Unintelligible), "{body}");
    }
}

#[test]
fn errors_are_read_in_both_forms_and_nowhere_else() {
    let error = |body: &str| read_error(body.as_bytes());
    let wanted = Some(("AuthFailure".to_owned(), "No & never".to_owned()));
    for body in [
        "<Response><Errors><Error><Code>AuthFailure</Code><Message>No &amp; never</Message></Error></Errors></Response>",
        "<ErrorResponse><Error><Message>No &amp; never</Message><Code>AuthFailure</Code></Error></ErrorResponse>",
    ] {
        assert_eq!(error(body), wanted, "{body}");
    }
    let silent = "<Response><Errors><Error><Code>X</Code></Error></Errors></Response>";
    assert_eq!(error(silent), Some(("X".to_owned(), String::new())));
    for body in [
        "",
        "<html><body>Code</body></html>",
        "<Response/>",
        "<Response><Errors/></Response>",
        "<Response><Errors><Error><Message>m</Message></Error></Errors></Response>",
        "<Response><Errors><Error><Code>A</Code></Error><Error><Code>B</Code></Error></Errors></Response>",
        "<Error><Code>A</Code></Error>",
    ] {
        assert_eq!(error(body), None, "{body}");
    }
}
