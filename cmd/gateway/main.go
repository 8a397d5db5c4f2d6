// Command gateway is the prediction gateway: the service, and the commands
// that operators use on its data or on a running one.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"gateway/internal/config"
	"gateway/internal/logging"
	"gateway/internal/modelswap"
)

func main() { os.Exit(runProcess(nil)) }

// runProcess runs the command line of this process until a signal ends it. See
// console for wrapPorts.
func runProcess(wrapPorts func(modelswap.Ports) modelswap.Ports) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	c := &console{ctx: ctx, stdout: os.Stdout, stderr: os.Stderr, wrapPorts: wrapPorts}
	if isTerminal(os.Stdin) && isTerminal(os.Stderr) {
		c.answers = bufio.NewReader(os.Stdin)
	}
	return run(c, os.Args[1:])
}

// commands is the command line. Each field is a command; its methods say what
// it does.
type commands struct {
	Serve   serveCommand   `cmd:"" default:"1" help:"Run the service (the default)."`
	Init    initCommand    `cmd:"" help:"Go from a CSV file to a model: draft the schema, import, train."`
	Import  importCommand  `cmd:"" help:"Load customers from a CSV file into the customer store."`
	Retrain retrainCommand `cmd:"" help:"Start a renewal of the model."`
	Predict predictCommand `cmd:"" help:"Score the customers in a CSV file; CSV out."`

	Status   statusCommand   `cmd:"" help:"Show the state of the gateway on one page."`
	Renewals renewalsCommand `cmd:"" help:"List renewals, or show one with its steps."`
	Models   modelsCommand   `cmd:"" help:"List models, show what one goes by and how good it is, or compare two."`
	Insights insightsCommand `cmd:"" help:"Show whether the model is still right: quality, drift, correlations."`
	Ask      askCommand      `cmd:"" help:"Ask the training data a question in SQL."`
	Rollback rollbackCommand `cmd:"" help:"Make an earlier model serve again."`
	Outcomes outcomesCommand `cmd:"" help:"Report what really happened, from a CSV file."`
	Export   exportCommand   `cmd:"" help:"Write customers, the ledger or the training data to a file."`

	Demo    demoCommand    `cmd:"" help:"Fill an empty data dir with a simulated month, to look at."`
	Rotate  rotateCommand  `cmd:"" help:"Replace the credentials in a secret: a password, tokens, keys."`
	Convert convertCommand `cmd:"" help:"Convert exported DynamoDB data (either format) to training CSV."`
	Schema  schemaCommand  `cmd:"" help:"Draft, check and print feature schemas."`
	Sandbox sandboxCommand `cmd:"" help:"Run a stand-in for AWS on this machine, to try the sagemaker platform."`
	Config  configCommand  `cmd:"" help:"Print every setting: name, type, default, meaning."`
	Version versionCommand `cmd:"" help:"Print the version."`

	Completion completionCommand `cmd:"" help:"Print the completions of a shell: bash, zsh or fish."`
	Man        manCommand        `cmd:"" help:"Print the man page."`
}

// console is the surroundings of a command.
type console struct {
	ctx     context.Context
	stdout  io.Writer     // results
	stderr  io.Writer     // progress and errors
	answers *bufio.Reader // what a person types on a terminal; nil: there is no terminal

	wrapPorts func(modelswap.Ports) modelswap.Ports // of renewals, for tests of crashes; nil: none
	root      fs.FS                                 // where the limits of this process are read, for tests; nil: the root of the file system
	warned    map[string]bool                       // messages of warnings that were printed
}

// warnings returns the messages of the warnings that were printed, to be added to.
func (c *console) warnings() map[string]bool {
	if c.warned == nil {
		c.warned = map[string]bool{}
	}
	return c.warned
}

// system returns where the limits of this process are read.
func (c *console) system() fs.FS {
	if c.root == nil {
		return os.DirFS("/")
	}
	return c.root
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1 // the command failed
	exitUsage  = 2 // the command line or a setting is wrong
)

// exitCode is the exit code with which kong ends the command line.
type exitCode int

// run runs the command that args name. Tests call it instead of a process.
func run(c *console, args []string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			exit, ok := r.(exitCode)
			if !ok {
				panic(r)
			}
			code = int(exit)
		}
	}()
	parser, err := kong.New(&commands{},
		kong.Name("gateway"),
		kong.Description("One service between apps and a model, and the loop that keeps the model fresh. Settings come from GATEWAY_* variables: see `gateway config`."),
		kong.Writers(c.stdout, c.stderr),
		kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		panic(err) // the command line above is invalid, for any arguments
	}
	selected, err := parser.Parse(args)
	if err != nil {
		printError(c.ctx, c.stderr, errors.New(withoutToken(err.Error(), args)))
		return exitUsage
	}
	err = selected.Run(c)
	var usage *usageError
	var setting *config.Error
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage), errors.As(err, &setting):
		printError(c.ctx, c.stderr, err)
		return exitUsage
	case errors.Is(err, errReported):
		return exitFailed
	case err.Error() == context.Canceled.Error(): // it says nothing else
		err = errors.New("interrupted")
	case c.ctx.Err() != nil && errors.Is(err, context.Canceled):
		err = fmt.Errorf("interrupted: %w", err)
	}
	printError(c.ctx, c.stderr, err)
	return exitFailed
}

// printError prints the error that ends a command. If stderr is not read, it
// waits only until a signal ends the context, and logging.CloseTime longer.
func printError(ctx context.Context, stderr io.Writer, err error) {
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		fmt.Fprintf(stderr, "gateway: %v\n", err)
	}()
	select {
	case <-printed:
		return
	case <-ctx.Done():
	}
	select {
	case <-printed:
	case <-time.After(logging.CloseTime):
	}
}

// withoutToken hides an argument at the end of an error on the command line if it
// comes after --token: it may belong to a token of two words, as after "--token
// Bearer".
func withoutToken(text string, args []string) string {
	i := slices.IndexFunc(args, func(arg string) bool { return strings.HasPrefix(arg, "--token") })
	for _, arg := range args[max(i, 0):] {
		if before, ok := strings.CutSuffix(text, " "+arg); ok && i >= 0 {
			return before + " after --token"
		}
	}
	return text
}

// usageError is a wrong argument of the command line.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errReported ends a command that has already reported what went wrong.
var errReported = errors.New("reported")
