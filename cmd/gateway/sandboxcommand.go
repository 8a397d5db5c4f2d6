package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"gateway/internal/config"
	"gateway/internal/logging"
	"gateway/internal/sandbox"
)

type sandboxCommand struct {
	Addr   string  `default:"127.0.0.1:4599" help:"HOST:PORT to listen on; port 0 is any. All services are on it."`
	Speed  float64 `default:"60" help:"How many times as fast as on AWS jobs run and endpoints come up."`
	Moto   string  `placeholder:"URL" help:"A moto server that answers for DynamoDB, S3 and Secrets Manager instead of the sandbox itself."`
	Bucket string  `default:"sandbox" help:"S3 bucket to make."`
	Table  string  `default:"customers" help:"DynamoDB table of customers to make, with point-in-time recovery."`
	Rotate string  `placeholder:"PATH" help:"Compiled rotation function (cmd/rotate), which RotateSecret calls."`
	Calls  bool    `help:"Log every call on standard error."`
}

// rotateFunction is the name of the function that rotates secrets.
const rotateFunction = "rotate"

// Help is what `gateway sandbox --help` says beside the flags.
func (sandboxCommand) Help() string {
	return `SageMaker (control plane and runtime), S3, DynamoDB (exports included), Secrets Manager and Athena in this process: jobs really train on what lies in the bucket, and endpoints answer with the model. Queries fail, because this program has no engine for Athena's SQL. Everything is in memory and gone afterwards. The lines on standard output are for the shell that runs the gateway:

    gateway sandbox > sandbox.env &
    . ./sandbox.env && gateway serve

Things go wrong on request, over HTTP:

    curl -d '{"operation": "InvokeEndpoint", "kind": "throttle", "times": 3}' URL/sandbox/faults
    curl -d '{"operation": "UpdateEndpoint", "kind": "roll-back-silently"}' URL/sandbox/faults
    curl -d '{"operation": "CreateTrainingJob", "kind": "fail", "at": "Training", "reason": "AlgorithmError: no"}' URL/sandbox/faults
    curl -X DELETE URL/sandbox/faults                  (none any more; what sticks goes on)
    curl 'URL/sandbox/calls?operation=InvokeEndpoint'  (who called what, and which model answered)
    curl -X DELETE URL/sandbox/calls
    curl -d '{"endpoint": "ServiceEndpoint", "variant": "AllTraffic", "count": 3}' URL/sandbox/scale
    curl -d '{"endpoint": "ServiceEndpoint"}' URL/sandbox/maintain

A secret rotates with the compiled function; days of the rules are days of the sandbox's time:

    gateway sandbox --rotate ./bootstrap > sandbox.env &
    aws secretsmanager rotate-secret --secret-id NAME --rotation-rules AutomaticallyAfterDays=30 \
      --rotation-lambda-arn ` + "` + sandbox.FunctionARN(rotateFunction) + `" + `

A fault has an operation (or a pattern: "*Endpoint"), a kind and, if need be, resource (a pattern of names), times (below 0: for ever), skip, attempt, delay ("1.5s"), status, code, message, at, reason, items. Its kind is one of:

` + kindsOfFaults()
}

// kindsOfFaults lists them one a line; indented, so that kong leaves the lines.
func kindsOfFaults() string {
	var b strings.Builder
	for _, k := range sandbox.Kinds() {
		fmt.Fprintf(&b, "    %-19s%s\n", k, k.Does())
	}
	return b.String()
}

// Run serves until the context ends.
func (cmd sandboxCommand) Run(c *console) error {
	if cmd.Speed <= 0 {
		return &usageError{errors.New("--speed: must be above zero")}
	}
	// The stand-in must answer also while its output is not read, and after its reader has ended.
	signal.Ignore(syscall.SIGPIPE)
	log := logging.NewWriter(c.stderr, func(dropped int64) []byte {
		return fmt.Appendf(nil, "gateway: %d lines were dropped because the output was not read or could not be written\n", dropped)
	})
	defer func() { _ = log.Close() }()
	if cmd.Rotate != "" {
		if cmd.Moto != "" {
			return &usageError{errors.New("--rotate: moto answers for Secrets Manager; leave out --moto")}
		}
		if _, err := os.Stat(cmd.Rotate); err != nil {
			return &usageError{fmt.Errorf("--rotate: %w", err)}
		}
	}
	manager := sandbox.NewSecretsManager()
	o := sandbox.Options{Addr: cmd.Addr, Pace: sandbox.RealPace().Faster(cmd.Speed), Backend: cmd.Moto, SecretsManager: manager}
	if cmd.Calls {
		o.Observe = func(call sandbox.Call) {
			fmt.Fprintf(log, "%s %s %s attempt %d: %d %s\n", call.At.UTC().Format("15:04:05.000"), call.Operation, call.Resource, call.Attempt, call.Status, call.Fault)
		}
	}
	s, err := sandbox.New(o)
	if err != nil {
		return fmt.Errorf("--addr %s, --moto %s: %w", cmd.Addr, cmd.Moto, err)
	}
	defer s.Close()
	if cmd.Rotate != "" {
		var env []string
		for _, v := range s.Environment() {
			env = append(env, v.Name+"="+v.Value)
		}
		function := sandbox.NewFunction(rotateFunction, cmd.Rotate, env, log)
		defer function.Kill()
		manager.UseFunctions(cmd.Speed, function)
	}
	defer manager.Close() // before the function ends, which it would start again
	if err := s.Prepare(c.ctx, cmd.Bucket, cmd.Table); err != nil {
		return err
	}
	lines := append(s.Environment(),
		sandbox.Variable{Name: config.Prefix + "_PLATFORM", Value: "sagemaker"},
		sandbox.Variable{Name: config.Prefix + "_S3_BUCKET", Value: cmd.Bucket},
		sandbox.Variable{Name: config.Prefix + "_CUSTOMERS_TABLE", Value: cmd.Table},
		sandbox.Variable{Name: config.Prefix + "_EXECUTION_ROLE_ARN", Value: sandbox.Role})
	for _, v := range lines {
		if _, err := fmt.Fprintf(c.stdout, "export %s='%s'\n", v.Name, strings.ReplaceAll(v.Value, "'", `'\''`)); err != nil {
			return err
		}
	}
	fmt.Fprintf(log, "gateway: the sandbox serves on %s, at %g times the speed of AWS, until it is interrupted; faults: gateway sandbox --help\n", s.URL, cmd.Speed)
	<-c.ctx.Done()
	return nil
}
