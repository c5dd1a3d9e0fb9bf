// What GitOps tools make of objects. The first line of the input holds the rules that users paste into Argo CD and Flux, as
// JSON; every further line is an object, and is answered by a line with the verdicts of kstatus, Argo CD and Flux.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/runtime/cel"
	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Argo CD gives a script no longer.
const luaTimeout = time.Second

type rules struct {
	// Argo CD's health script.
	Lua string `json:"lua"`
	// Flux's healthCheckExprs.
	Flux []kustomize.CustomHealthCheck `json:"flux"`
}

type verdict struct {
	Kstatus string `json:"kstatus"`
	Argo    string `json:"argo"`
	Flux    string `json:"flux"`
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "judge:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(bufio.NewReader(in))
	var rules rules
	if err := lines.Decode(&rules); err != nil {
		return fmt.Errorf("reading the rules: %w", err)
	}
	flux := map[string]*cel.StatusEvaluator{}
	for _, check := range rules.Flux {
		evaluator, err := cel.NewStatusEvaluator(&check.HealthCheckExpressions)
		if err != nil {
			return fmt.Errorf("reading Flux's rules for %s: %w", check.Kind, err)
		}
		flux[check.APIVersion+"/"+check.Kind] = evaluator
	}
	answers := json.NewEncoder(out)
	for {
		var text json.RawMessage
		if err := lines.Decode(&text); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading an object: %w", err)
		}
		// Tells integers from floats, as Kubernetes' own clients do.
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(text); err != nil {
			return fmt.Errorf("reading an object: %w", err)
		}
		verdict, err := judge(object, rules.Lua, flux)
		if err != nil {
			return fmt.Errorf("%s %s: %w", object.GetKind(), object.GetName(), err)
		}
		if err := answers.Encode(verdict); err != nil {
			return err
		}
	}
}

func judge(object *unstructured.Unstructured, script string, flux map[string]*cel.StatusEvaluator) (verdict, error) {
	computed, err := status.Compute(object)
	if err != nil {
		return verdict{}, fmt.Errorf("kstatus: %w", err)
	}
	health, err := argoHealth(object, script)
	if err != nil {
		return verdict{}, fmt.Errorf("Argo CD's script: %w", err)
	}
	// Without rules for a kind Flux asks kstatus.
	judged := computed
	if evaluator, found := flux[object.GetAPIVersion()+"/"+object.GetKind()]; found {
		judged, err = evaluator.Evaluate(context.Background(), object)
		if err != nil {
			return verdict{}, fmt.Errorf("Flux's rules: %w", err)
		}
	}
	return verdict{Kstatus: computed.Status.String(), Argo: health, Flux: judged.Status.String()}, nil
}

// What Argo CD does: an object on its way out is Progressing without asking; else the script runs with few libraries, and its
// answer must be one of the known words.
func argoHealth(object *unstructured.Unstructured, script string) (string, error) {
	if object.GetDeletionTimestamp() != nil {
		return "Progressing", nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		call := lua.P{Fn: state.NewFunction(open), NRet: 0, Protect: true}
		if err := state.CallByParam(call, lua.LString(name)); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), luaTimeout)
	defer cancel()
	state.SetContext(ctx)
	state.SetGlobal("obj", luaValue(state, object.Object))
	if err := state.DoString(script); err != nil {
		return "", err
	}
	answer, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return "", fmt.Errorf("no table was returned, but a %s", state.Get(-1).Type())
	}
	health := answer.RawGetString("status").String()
	switch health {
	case "Healthy", "Progressing", "Degraded", "Suspended", "Missing", "Unknown":
		return health, nil
	}
	return "", fmt.Errorf("%q is no health", health)
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	case string:
		return lua.LString(value)
	case []any:
		table := state.CreateTable(len(value), 0)
		for _, item := range value {
			table.Append(luaValue(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(value))
		for key, item := range value {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	}
	return lua.LNil
}
