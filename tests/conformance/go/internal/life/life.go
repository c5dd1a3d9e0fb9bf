// Package life runs the steps of a client's life and tells what became of each, as life.py reads it.
package life

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
)

// Step is one step; its name is that of life.py.
type Step struct {
	Name string
	Do   func() error
}

// Addresses of the simulated Alibaba Cloud and Huawei Cloud. The third argument is that of the admin interface.
func Addresses() (alibaba, huawei string) {
	return os.Args[1], os.Args[2]
}

// AwsAddress is that of the simulated Amazon Web Services.
func AwsAddress() string {
	return os.Args[4]
}

// Run lives a life.
func Run(client string, steps []Step) {
	fmt.Printf("client: %s\n", client)
	for _, step := range steps {
		told := "ok"
		if err := step.Do(); err != nil {
			told = strings.ReplaceAll(err.Error(), "\n", " ")
		}
		fmt.Printf("%s: %s\n", step.Name, told)
		if err := Admin("PUT", "/limits", `{"limits": []}`); err != nil {
			fmt.Printf("%s: %s\n", step.Name, err)
		}
	}
}

// Admin asks the admin interface.
func Admin(method, path, body string) error {
	request, err := http.NewRequest(method, os.Args[3]+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("content-type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s %s: %s", method, path, text)
	}
	return nil
}

// Throttle lets no call of an action through.
func Throttle(action string) error {
	return Admin("PUT", "/limits", fmt.Sprintf(`{"limits": [{"action": %q, "callsPerMinute": 0}]}`, action))
}

// Same fails where two things differ.
func Same(what string, got, expected any) error {
	if reflect.DeepEqual(got, expected) {
		return nil
	}
	return fmt.Errorf("%s: got %v, expected %v", what, got, expected)
}

// All is the first error.
func All(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
