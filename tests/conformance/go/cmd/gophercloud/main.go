// The OpenStack client that Kubernetes' own cloud provider and Terraform use, at Huawei Cloud. It has no copies.
package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"conformance/internal/life"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/members"
)

const (
	golden = "cc4f2d1e-0000-4000-8000-000000000001"
	older  = "cc4f2d1e-0000-4000-8000-000000000002"
	own    = "0a000000000000000000000000000000"
)

var projects = []string{
	"1a000000000000000000000000000000", "1b000000000000000000000000000000", "1c000000000000000000000000000000",
}

func client(domain, user, password string) (*gophercloud.ServiceClient, error) {
	_, address := life.Addresses()
	provider, err := openstack.AuthenticatedClient(context.Background(), gophercloud.AuthOptions{
		IdentityEndpoint: address + "/v3", Username: user, Password: password, DomainName: domain, AllowReauth: true,
		Scope: &gophercloud.AuthScope{ProjectName: "cn-north-4", DomainName: domain},
	})
	if err != nil {
		return nil, err
	}
	return openstack.NewImageV2(provider, gophercloud.EndpointOpts{Region: "cn-north-4"})
}

func must(client *gophercloud.ServiceClient, err error) *gophercloud.ServiceClient {
	if err != nil {
		panic(err)
	}
	return client
}

var (
	owner = must(client("owners", "owner", "owner-secret"))
	first = must(client("recipients", "first", "first-secret"))
)

func found(asked *gophercloud.ServiceClient, options images.ListOpts) ([]string, error) {
	pages, err := images.List(asked, options).AllPages(context.Background())
	if err != nil {
		return nil, err
	}
	all, err := images.ExtractImages(pages)
	names := []string{}
	for _, image := range all {
		names = append(names, image.Name)
	}
	slices.Sort(names)
	return names, err
}

func expect(what string, asked *gophercloud.ServiceClient, expected []string, options images.ListOpts) error {
	names, err := found(asked, options)
	return life.All(err, life.Same(what, names, expected))
}

func statuses() (map[string]string, error) {
	pages, err := members.List(owner, golden).AllPages(context.Background())
	if err != nil {
		return nil, err
	}
	all, err := members.ExtractMembers(pages)
	told := map[string]string{}
	for _, member := range all {
		told[member.MemberID] = member.Status
	}
	return told, err
}

func refused(what string, status int, err error) error {
	if gophercloud.ResponseCodeIs(err, status) {
		return nil
	}
	return fmt.Errorf("%s: got %v, expected %d", what, err, status)
}

func list() error {
	private := images.ImageVisibilityPrivate
	return life.All(
		expect("own ones", owner, []string{"golden", "golden-older"}, images.ListOpts{Visibility: private}),
		expect("by pages", owner, []string{"golden", "golden-older"}, images.ListOpts{Visibility: private, Limit: 1}),
		expect("by name", owner, []string{"golden"}, images.ListOpts{Name: "golden"}),
	)
}

func shareAndPage() error {
	for _, project := range projects {
		if _, err := members.Create(context.Background(), owner, golden, project).Extract(); err != nil {
			return err
		}
	}
	told, err := statuses()
	pending := slices.Sorted(maps.Keys(told))
	return life.All(err, life.Same("members", pending, projects), life.Same("it waits", told[projects[0]], "pending"))
}

func answer(status string) error {
	options := members.UpdateOpts{Status: status}
	if _, err := members.Update(context.Background(), first, golden, projects[0], options).Extract(); err != nil {
		return err
	}
	told, err := statuses()
	return life.All(err, life.Same("the owner sees it", told[projects[0]], status))
}

func rename() error {
	change := images.UpdateOpts{images.ReplaceImageName{NewName: "silver"}}
	image, err := images.Update(context.Background(), owner, older, change).Extract()
	if err != nil {
		return err
	}
	return life.Same("its name", image.Name, "silver")
}

func beRefused() error {
	create := func(project string) error {
		return members.Create(context.Background(), owner, golden, project).Err
	}
	missing := images.Get(context.Background(), first, older).Err
	return life.All(refused("oneself", 400, create(own)), refused("an image not offered", 404, missing))
}

func beThrottled() error {
	if err := life.Throttle("GlanceListImages"); err != nil {
		return err
	}
	_, err := found(owner, images.ListOpts{})
	return refused("throttled", 429, err)
}

func signWrongly() error {
	_, err := client("owners", "owner", "wrong")
	return refused("a wrong password", 401, err)
}

func expire() error {
	if err := life.Admin("PUT", "/clock", `{"advanceSeconds": 86400}`); err != nil {
		return err
	}
	renewed := expect("renewed by itself", owner, []string{"golden"}, images.ListOpts{Name: "golden"})
	return life.All(renewed, life.Admin("PUT", "/clock", `{"offsetSeconds": 0}`))
}

func remove() error {
	for _, project := range projects {
		if err := members.Delete(context.Background(), owner, golden, project).ExtractErr(); err != nil {
			return err
		}
	}
	return images.Delete(context.Background(), owner, golden).ExtractErr()
}

func main() {
	life.Run("gophercloud (Go)", []life.Step{
		{Name: "identity", Do: func() error { return expect("any", owner, []string{"linux"}, images.ListOpts{Name: "linux"}) }},
		{Name: "list", Do: list},
		{Name: "share_and_page", Do: shareAndPage},
		{Name: "accept", Do: func() error { return answer("accepted") }},
		{Name: "reject", Do: func() error { return answer("rejected") }},
		{Name: "rename", Do: rename},
		{Name: "be_refused", Do: beRefused},
		{Name: "be_throttled", Do: beThrottled},
		{Name: "sign_wrongly", Do: signWrongly},
		{Name: "expire", Do: expire},
		{Name: "delete", Do: remove},
	})
}
