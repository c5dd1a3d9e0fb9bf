// The current SDK of Amazon Web Services. An image keeps its name there, and nothing is accepted.
package main

import (
	"context"
	"errors"
	"fmt"
	"sort"

	"conformance/internal/life"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
)

const (
	golden       = "ami-00000000000000001"
	older        = "ami-00000000000000002"
	snapshot     = "snap-00000000000000001"
	own          = "111122223333"
	organization = "arn:aws:organizations::111122223333:organization/o-abcdefghij"
)

var (
	recipients = []string{"444455556666", "777788889999"}
	background = context.Background()
)

func config(region, key, secret, token string) aws.Config {
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(life.AwsAddress()), Retryer: func() aws.Retryer { return aws.NopRetryer{} },
		Credentials: credentials.NewStaticCredentialsProvider(key, secret, token),
	}
}

func client(key, secret, token string) *ec2.Client {
	return ec2.NewFromConfig(config("us-east-1", key, secret, token))
}

var (
	owner     = client("AKIAOWNER", "owner-secret", "")
	recipient = client("AKIARECIPIENT", "recipient-secret", "")
	there     = ec2.NewFromConfig(config("eu-central-1", "AKIARECIPIENT", "recipient-secret", ""))
	temporary = client("ASIATEMPORARY", "temporary-secret", "tok/en+=")
	caller    = sts.NewFromConfig(config("us-east-1", "AKIAOWNER", "owner-secret", ""))
)

func refused(what, code string, err error) error {
	var told smithy.APIError
	if errors.As(err, &told) {
		return life.Same(what, told.ErrorCode(), code)
	}
	return fmt.Errorf("%s: got %v, expected %s", what, err, code)
}

// By pages, some of which are short or empty.
func images(asked *ec2.Client, request ec2.DescribeImagesInput) ([]string, error) {
	request.MaxResults = aws.Int32(5)
	pages, found := ec2.NewDescribeImagesPaginator(asked, &request), []string{}
	for pages.HasMorePages() {
		page, err := pages.NextPage(background)
		if err != nil {
			return nil, err
		}
		for _, image := range page.Images {
			found = append(found, *image.ImageId)
		}
	}
	sort.Strings(found)
	return found, nil
}

func expect(what string, asked *ec2.Client, expected []string, request ec2.DescribeImagesInput) error {
	found, err := images(asked, request)
	return life.All(err, life.Same(what, found, expected))
}

func filter(name string, values ...string) []types.Filter {
	return []types.Filter{{Name: &name, Values: values}}
}

func share(asked *ec2.Client, image string, change types.LaunchPermissionModifications) error {
	_, err := asked.ModifyImageAttribute(background, &ec2.ModifyImageAttributeInput{ImageId: &image, LaunchPermission: &change})
	return err
}

func accounts(ids ...string) []types.LaunchPermission {
	made := []types.LaunchPermission{}
	for _, id := range ids {
		made = append(made, types.LaunchPermission{UserId: aws.String(id)})
	}
	return made
}

func identity() error {
	told, err := caller.GetCallerIdentity(background, &sts.GetCallerIdentityInput{})
	if err != nil {
		return err
	}
	return life.Same("account", *told.Account, own)
}

func list() error {
	return life.All(
		expect("own ones", owner, []string{golden, older}, ec2.DescribeImagesInput{Owners: []string{"self"}}),
		expect("by name", owner, []string{golden, older}, ec2.DescribeImagesInput{Filters: filter("name", "golden*")}),
		expect("of none", owner, []string{}, ec2.DescribeImagesInput{Filters: filter("name", "镜像 a*b~c/d+e")}),
	)
}

func permissions() ([]string, error) {
	answer, err := owner.DescribeImageAttribute(background, &ec2.DescribeImageAttributeInput{
		ImageId: aws.String(golden), Attribute: types.ImageAttributeNameLaunchPermission,
	})
	if err != nil {
		return nil, err
	}
	found := []string{}
	for _, row := range answer.LaunchPermissions {
		found = append(found, aws.ToString(row.UserId)+aws.ToString(row.OrganizationArn))
	}
	return found, nil
}

func shareAndPage() error {
	unit := types.LaunchPermission{OrganizationArn: aws.String(organization)}
	if err := share(owner, golden, types.LaunchPermissionModifications{Add: append(accounts(recipients...), unit)}); err != nil {
		return err
	}
	found, err := permissions()
	received := ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}
	return life.All(
		err,
		life.Same("permissions", found, append(append([]string{}, recipients...), organization)),
		expect("received", recipient, []string{golden}, received),
		share(owner, golden, types.LaunchPermissionModifications{Remove: []types.LaunchPermission{unit}}),
	)
}

func assumeRole() error {
	role := &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/share"), RoleSessionName: aws.String("life")}
	answer, err := caller.AssumeRole(background, role)
	if err != nil {
		return err
	}
	given := answer.Credentials
	played := client(*given.AccessKeyId, *given.SecretAccessKey, *given.SessionToken)
	role.RoleArn = aws.String("arn:aws:iam::444455556666:role/other")
	_, none := caller.AssumeRole(background, role)
	received := ec2.DescribeImagesInput{ExecutableUsers: []string{"self"}}
	return life.All(expect("received", played, []string{golden}, received), refused("no such role", "AccessDenied", none))
}

func copyImage() error {
	asked := &ec2.CopyImageInput{
		Name: aws.String("golden (copy)"), SourceImageId: aws.String(golden), SourceRegion: aws.String("us-east-1"),
	}
	_, early := there.CopyImage(background, asked)
	_, err := owner.ModifySnapshotAttribute(background, &ec2.ModifySnapshotAttributeInput{
		SnapshotId: aws.String(snapshot), Attribute: types.SnapshotAttributeNameCreateVolumePermission,
		CreateVolumePermission: &types.CreateVolumePermissionModifications{
			Add: []types.CreateVolumePermission{{UserId: &recipients[0]}},
		},
	})
	if err := life.All(refused("without the snapshot", "InvalidRequest", early), err); err != nil {
		return err
	}
	made, err := there.CopyImage(background, asked)
	if err != nil {
		return err
	}
	by := ec2.DescribeImagesInput{Owners: []string{"self"}}
	_, gone := there.DeregisterImage(background, &ec2.DeregisterImageInput{ImageId: made.ImageId})
	return life.All(gone, expect("gone", there, []string{}, by))
}

func tag() error {
	tags := []types.Tag{{Key: aws.String("team"), Value: aws.String("core")}}
	by := ec2.DescribeImagesInput{Filters: filter("tag:team", "core")}
	_, given := owner.CreateTags(background, &ec2.CreateTagsInput{Resources: []string{golden}, Tags: tags})
	tagged := expect("by tag", owner, []string{golden}, by)
	_, taken := owner.DeleteTags(background, &ec2.DeleteTagsInput{Resources: []string{golden}, Tags: tags})
	return life.All(given, tagged, taken, expect("untagged", owner, []string{}, by))
}

func beRefused() error {
	add := types.LaunchPermissionModifications{Add: accounts(own)}
	_, noEffect := images(owner, ec2.DescribeImagesInput{Filters: filter("kernel-id", "x")})
	return life.All(
		refused("nobody", "InvalidAMIAttributeItemValue", share(owner, golden, types.LaunchPermissionModifications{Add: accounts("12345")})),
		refused("not the owner", "AuthFailure", share(recipient, golden, add)),
		refused("not seen", "InvalidAMIID.NotFound", share(recipient, older, add)),
		refused("no effect", "InvalidParameterValue", noEffect),
	)
}

func beThrottled() error {
	if err := life.Throttle("DescribeImages"); err != nil {
		return err
	}
	_, err := images(owner, ec2.DescribeImagesInput{})
	return refused("throttled", "RequestLimitExceeded", err)
}

func signWrongly() error {
	_, err := images(client("AKIAOWNER", "wrong", ""), ec2.DescribeImagesInput{})
	return refused("a wrong secret", "AuthFailure", err)
}

func expire() error {
	if _, err := images(temporary, ec2.DescribeImagesInput{}); err != nil {
		return err
	}
	if err := life.Admin("PATCH", "/aws/keys/ASIATEMPORARY", `{"expired": true}`); err != nil {
		return err
	}
	_, err := images(temporary, ec2.DescribeImagesInput{})
	return refused("after", "RequestExpired", err)
}

func remove() error {
	deregister := func() error {
		_, err := owner.DeregisterImage(background, &ec2.DeregisterImageInput{ImageId: aws.String(golden)})
		return err
	}
	return life.All(
		deregister(),
		expect("gone", owner, []string{older}, ec2.DescribeImagesInput{Owners: []string{"self"}}),
		refused("again", "InvalidAMIID.Unavailable", deregister()),
	)
}

func main() {
	life.Run("aws-sdk-go-v2 (Go), AWS4-HMAC-SHA256", []life.Step{
		{Name: "identity", Do: identity},
		{Name: "list", Do: list},
		{Name: "share_and_page", Do: shareAndPage},
		{Name: "assume_role", Do: assumeRole},
		{Name: "copy", Do: copyImage},
		{Name: "tag", Do: tag},
		{Name: "be_refused", Do: beRefused},
		{Name: "be_throttled", Do: beThrottled},
		{Name: "sign_wrongly", Do: signWrongly},
		{Name: "expire", Do: expire},
		{Name: "delete", Do: remove},
	})
}
