package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gateway/internal/gatewaytest"
	"gateway/internal/pgtest"
	"gateway/internal/rotate"
	"gateway/internal/rotate/databases"
	"gateway/internal/rotate/manager"
	"gateway/internal/sandbox"
	"gateway/internal/secrets"
	"gateway/internal/testsize"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/jackc/pgx/v5"
)

func TestRotateReplacesTheKeysOfAFile(t *testing.T) {
	path := gatewaytest.WriteFile(t, "keys.json", `{"keys": {"web": "first-key"}}`)
	code, stdout, stderr := command(t, "rotate", "--secret", "file:"+path)
	if code != exitOK || !strings.HasPrefix(stdout, "rotated: version ") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	text := gatewaytest.ReadAll(t, path)
	keys, err := secrets.ParseKeys(secrets.New(text))
	if err != nil || len(keys) != 1 || keys[0].Name != "web" || keys[0].Value.Reveal() == "first-key" {
		t.Errorf("the file is %s, %v", text, err)
	}
	for _, step := range rotate.Steps() {
		if !strings.Contains(stderr, string(step)+" ") {
			t.Errorf("the progress does not say what %s did:\n%s", step, stderr)
		}
	}
	if strings.Contains(stderr+stdout, keys[0].Value.Reveal()) || strings.Contains(stderr+stdout, "first-key") {
		t.Errorf("a key was printed:\n%s%s", stdout, stderr)
	}
}

func TestRotateSaysWhatIsWrong(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_CONFIG_FILE", "/nonexistent")
	keys := "file:" + gatewaytest.WriteFile(t, "keys.json", `{"keys": ["first-key"]}`)
	held := "file:" + gatewaytest.WriteFile(t, "held.json", `{"keys": ["first-key"]}`)
	unlock, err := rotate.Files{}.Lock(held)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no secret":          {nil, exitUsage, "--secret"},
		"a value":            {[]string{"--secret", `{"password": "leak"}`}, exitUsage, "--secret: must be the name"},
		"a wrong master":     {[]string{"--secret", keys, "--master", "file:"}, exitUsage, "--master: must be the name"},
		"a wrong strategy":   {[]string{"--secret", keys, "--strategy", "leak"}, exitUsage, "must be single, master or alternating"},
		"keys and a master":  {[]string{"--secret", keys, "--strategy", "single"}, exitFailed, "for databases"},
		"no file":            {[]string{"--secret", "file:/nonexistent"}, exitFailed, "/nonexistent"},
		"a name, no region":  {[]string{"--secret", "app"}, exitFailed, "AWS_REGION"},
		"another is at work": {[]string{"--secret", held}, exitFailed, "under way"},
		"a closed port": {[]string{"--secret", "file:" + gatewaytest.WriteFile(t, "db.json",
			`{"host": "127.0.0.1", "port": 1, "username": "app", "password": "leak"}`)}, exitFailed, "cannot be reached"},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := command(t, append([]string{"rotate"}, tc.args...)...)
			if code != tc.code || !strings.Contains(stderr, tc.want) || stdout != "" || strings.Contains(stderr, "leak") {
				t.Errorf("exit code %d, want %d: %s%s", code, tc.code, stdout, stderr)
			}
		})
	}
	code, stdout, _ := command(t, "rotate", "--help")
	for _, want := range []string{"--strategy", "alternating", "Exit codes: 0", "run it again"} {
		if code != exitOK || !strings.Contains(stdout, want) {
			t.Errorf("the help does not have %q: %s", want, stdout)
		}
	}
}

// TestRotateMayBeKilledAnywhere ends the command with SIGKILL before and after each call of
// Secrets Manager and each message to the database, and runs it again. At every moment a
// version of the secret works.
func TestRotateMayBeKilledAnywhere(t *testing.T) {
	for _, kind := range []string{"Secrets Manager", "a file"} {
		t.Run(kind, func(t *testing.T) {
			r := newKilledRotation(t, kind == "a file")
			r.run(-1)
			all := r.passed()
			if all < 8 {
				t.Fatalf("a rotation has only %d points", all)
			}
			killed := 0
			for at := 0; at < all; at += max(1, all/testsize.Of(4, all)) {
				if r.run(at) {
					killed++
				}
				if !r.works(rotate.Current) && !r.works(rotate.Pending) {
					t.Fatalf("killed at point %d of %d, no version works", at, all)
				}
				r.run(-1)
				if !r.works(rotate.Current) {
					t.Fatalf("killed at point %d of %d, the next run ends with a version that does not work", at, all)
				}
			}
			t.Logf("killed %d times, at %d points", killed, all)
			if killed == 0 {
				t.Error("the command was never killed")
			}
		})
	}
}

// killedRotation is a database's secret, and processes that rotate it.
type killedRotation struct {
	t       *testing.T
	id      string
	store   rotate.Store
	direct  uint16 // port of the database, past the proxy
	mu      sync.Mutex
	count   int
	at      int // the point at which the process is killed
	process *exec.Cmd
}

func newKilledRotation(t *testing.T, inFile bool) *killedRotation {
	t.Helper()
	r := &killedRotation{t: t, at: -1}
	address := pgtest.Database(t)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	super, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	user := strings.TrimPrefix(u.Path, "/") + "_app"
	if _, err := super.Exec(t.Context(), `CREATE ROLE `+user+` LOGIN PASSWORD 'first-of-app'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := super.Exec(context.Background(), `DROP ROLE `+user); err != nil {
			t.Error(err)
		}
		_ = super.Close(context.Background())
	})
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	r.direct = uint16(port)
	form, err := json.Marshal(map[string]any{"host": r.proxy(u.Host), "username": user, "password": "first-of-app",
		"dbname": strings.TrimPrefix(u.Path, "/"), "sslmode": "disable", "require_auth": "scram-sha-256"})
	if err != nil {
		t.Fatal(err)
	}
	if inFile {
		r.id, r.store = "file:"+gatewaytest.WriteFile(t, "app.json", string(form)), rotate.Files{}
		return r
	}
	service := sandbox.NewSecretsManager()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.point()
		service.ServeHTTP(w, q)
		r.point()
	}))
	direct := httptest.NewServer(service) // for the test, whose calls are no points
	t.Cleanup(func() { server.Close(); direct.Close() })
	gatewaytest.UseSecretsManager(t, server.URL)
	cfg := aws.Config{Region: sandbox.Region, BaseEndpoint: &direct.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "not-a-real-key", "")}
	r.id, r.store = "app", manager.New(cfg)
	_, err = secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &r.id, SecretString: aws.String(string(form)),
		ClientRequestToken: aws.String(rotate.NewToken())})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs the command in a process, which is killed at a point; negative: never.
func (r *killedRotation) run(at int) (killed bool) {
	r.t.Helper()
	r.mu.Lock()
	r.count, r.at = 0, at
	process, output := process(r.t, []string{"GATEWAY_DATA_DIR=" + r.t.TempDir()}, "rotate", "--secret", r.id)
	r.process = process
	r.mu.Unlock()
	err := process.Wait()
	if at < 0 && err != nil {
		r.t.Fatalf("%v: %s", err, output)
	}
	return err != nil
}

// passed returns how many points the last run had.
func (r *killedRotation) passed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

func (r *killedRotation) point() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.count == r.at {
		_ = r.process.Process.Kill()
	}
	r.count++
}

// works reports whether the version with a label logs in, past the proxy.
func (r *killedRotation) works(label string) bool {
	value, err := r.store.Get(r.t.Context(), r.id, "", label)
	if err != nil {
		return false
	}
	d, err := secrets.ParseDatabase(secrets.Database{})(value)
	if err != nil {
		r.t.Fatal(err)
	}
	d.Port = r.direct
	_, err = databases.Postgres{}.Login(r.t.Context(), d)
	return err == nil
}

// proxy makes points of the messages to the database. It returns the address to send them to.
func (r *killedRotation) proxy(server string) (address string) {
	r.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	var serving sync.WaitGroup
	r.t.Cleanup(func() { _ = listener.Close(); serving.Wait() })
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { r.serve(client, server) })
		}
	})
	return listener.Addr().String()
}

func (r *killedRotation) serve(client net.Conn, server string) {
	defer client.Close()
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer upstream.Close()
	answered := make(chan struct{})
	go func() { defer close(answered); _, _ = io.Copy(client, upstream) }()
	piece := make([]byte, 32<<10)
	for {
		n, err := client.Read(piece)
		if n > 0 {
			r.point()
			if _, err := upstream.Write(piece[:n]); err != nil {
				break
			}
			r.point()
		}
		if err != nil {
			break
		}
	}
	_ = upstream.Close()
	<-answered
}
