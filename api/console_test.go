package api_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gateway/api"
	"gateway/api/console"
	"gateway/api/edge"
	"gateway/internal/modelswap"
)

// visitor is a browser without scripts. It does not follow redirects.
type visitor struct {
	t      *testing.T
	url    string // of the console, with a slash at the end
	client *http.Client
	form   string // token of the session's forms, as the last page had it
}

// visit returns a visitor of the console of a gateway who has not signed in.
func visit(t *testing.T, b *bundle) *visitor {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &visitor{t: t, url: b.url + "/console/", client: &http.Client{Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// operator returns a visitor who has signed in.
func operator(t *testing.T, b *bundle) *visitor {
	t.Helper()
	v := visit(t, b)
	v.post("sign-in", url.Values{"token": {token}}).want(303)
	v.get("").want(200)
	return v
}

func (v *visitor) get(path string, headers ...string) answer {
	v.t.Helper()
	return v.do(http.MethodGet, path, "", headers...)
}

// send sends a form with the token of the session.
func (v *visitor) send(path string, form url.Values) answer {
	v.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	form.Set("form_token", v.form)
	return v.post(path, form)
}

func (v *visitor) post(path string, form url.Values, headers ...string) answer {
	v.t.Helper()
	return v.do(http.MethodPost, path, form.Encode(), append([]string{"Content-Type: application/x-www-form-urlencoded"}, headers...)...)
}

var formToken = regexp.MustCompile(`name="form_token" value="([^"]+)"`)

// open sends a request and returns the response, whose body the caller closes.
func (v *visitor) open(method, path, body string, headers ...string) *http.Response {
	v.t.Helper()
	r, err := http.NewRequest(method, v.url+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, header := range headers {
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
	}
	res, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	return res
}

func (v *visitor) do(method, path, body string, headers ...string) answer {
	v.t.Helper()
	res := v.open(method, path, body, headers...)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if found := formToken.FindSubmatch(text); found != nil {
		v.form = string(found[1])
	}
	return answer{t: v.t, status: res.StatusCode, header: res.Header, body: string(text)}
}

// contains fails unless a page has each of the texts.
func (a answer) contains(texts ...string) answer {
	a.t.Helper()
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			a.t.Errorf("the page has no %q:\n%s", text, a.body)
		}
	}
	return a
}

func TestTheConsoleNeedsASession(t *testing.T) {
	b := setup(t)
	v := visit(t, b)
	for _, path := range []string{"", "audit?before=x", "events?every=1"} {
		a := v.get(path).want(303)
		if want := "sign-in?next=" + url.QueryEscape(path); a.header.Get("Location") != want {
			t.Errorf("%s leads to %s, want %s", path, a.header.Get("Location"), want)
		}
	}
	v.post("sign-out", url.Values{}).want(401)
	v.get("sign-in?next=audit").want(200).contains(`name="next" value="audit"`, `type="password"`)
	v.post("sign-in", url.Values{"token": {token + "x"}}).want(403).contains("not valid")
	v.post("sign-in", url.Values{}).want(422)
	a := v.post("sign-in", url.Values{"token": {token}, "next": {"audit"}}).want(303)
	if a.header.Get("Location") != "audit" {
		t.Errorf("the form leads to %s", a.header.Get("Location"))
	}
	cookie := a.header.Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Strict"} {
		if !strings.Contains(cookie, attribute) {
			t.Errorf("the cookie %q has no %s", cookie, attribute)
		}
	}
	if strings.Contains(cookie, "Secure") || strings.Contains(cookie, token) {
		t.Errorf("cookie %q", cookie)
	}
	v.get("audit").want(200).contains("POST /console/sign-in", "<td>ops</td>")
	v.send("sign-out", nil).want(303)
	v.get("audit").want(303)
	if strings.Contains(b.logs.String(), token) {
		t.Error("the log has the token")
	}
}

func TestPathsWithoutAPageAreAPageOfTheConsole(t *testing.T) {
	b := setup(t)
	visit(t, b).get("nothing/below").want(303)
	v := operator(t, b)
	for _, path := range []string{"nothing", "nothing/below"} {
		v.get(path).want(404).contains("the console has no such page", `<html lang="en">`, `<nav aria-label="Pages">`)
	}
}

func TestTheCookieIsSecureBehindTLS(t *testing.T) {
	v := visit(t, setup(t))
	a := v.post("sign-in", url.Values{"token": {token}}, "X-Forwarded-Proto: https").want(303)
	if !strings.Contains(a.header.Get("Set-Cookie"), "Secure") {
		t.Errorf("cookie %q", a.header.Get("Set-Cookie"))
	}
}

// TestSessionsEndWithTheirToken has a second replica, which has the same tokens.
func TestSessionsEndWithTheirToken(t *testing.T) {
	tokens := []edge.Token{{Name: "one", Value: token}, {Name: "two", Value: "second"}}
	withTokens := func(b *bundle, _ *api.Options, _ *parts) { b.edge.Tokens = func() []edge.Token { return tokens } }
	first, second := setup(t, withTokens), setup(t, withTokens)
	v := operator(t, first)
	v.url = second.url + "/console/"
	v.get("").want(200).contains("<strong>one</strong>")
	tokens = tokens[1:]
	v.get("").want(303)
	tokens = []edge.Token{{Name: "one", Value: token + "!"}}
	v.get("").want(303)
}

func TestForgedCookies(t *testing.T) {
	b := setup(t)
	v := visit(t, b)
	cookie, _, _ := strings.Cut(v.post("sign-in", url.Values{"token": {token}}).header.Get("Set-Cookie"), ";")
	name, value, _ := strings.Cut(cookie, "=")
	later := []byte(value)
	later[7]++ // of the time at which the session ends
	stranger := visit(t, b)
	for _, forged := range []string{"", "x", value[1:], value + "A", string(later), strings.Repeat("A", len(value))} {
		stranger.get("", "Cookie: "+name+"="+forged).want(303)
	}
	stranger.get("", "Cookie: "+name+"="+value).want(200)
}

func TestFormsOfOthersAreRefused(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	v.post("sign-out", url.Values{}).want(403)
	v.post("sign-out", url.Values{"form_token": {"x"}}).want(403)
	v.post("sign-out", url.Values{"form_token": {v.form}}, "Sec-Fetch-Site: cross-site").want(403)
	v.post("sign-out", url.Values{"form_token": {v.form}}, "Origin: https://elsewhere.example").want(403)
	other := operator(t, b)
	v.post("sign-out", url.Values{"form_token": {other.form}}).want(403)
	v.post("sign-out", url.Values{"form_token": {v.form}, "more": {strings.Repeat("x", 300<<10)}}).want(413)
	v.get("").want(200)
}

func TestWrongTokensInTheFormAreLimited(t *testing.T) {
	b := setup(t)
	v := visit(t, b)
	for range 10 {
		v.post("sign-in", url.Values{"token": {"wrong"}}).want(403)
	}
	if a := v.post("sign-in", url.Values{"token": {"wrong"}}).want(429); a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	v.post("sign-in", url.Values{"token": {token}}).want(303) // an attacker cannot lock out operators
}

func TestTheFormLeadsNowhereElse(t *testing.T) {
	b := setup(t)
	for _, next := range []string{"https://elsewhere.example", "//elsewhere.example", "/admin", "javascript:alert(1)", "../admin/status",
		"a/../../b", `\\elsewhere.example`, "renewals/..", "a\nb"} {
		a := visit(t, b).post("sign-in", url.Values{"token": {token}, "next": {next}}).want(303)
		if a.header.Get("Location") != "./" {
			t.Errorf("%q leads to %s", next, a.header.Get("Location"))
		}
	}
}

func TestPagesOfTheConsole(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	a := v.get("").want(200).contains("<h1>Overview</h1>", `aria-current="page"`)
	if policy := a.header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	if a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", a.header.Get("Cache-Control"))
	}
	for _, asset := range regexp.MustCompile(`(?:href|src)="(assets/[^"]+)"`).FindAllStringSubmatch(a.body, -1) {
		if got := v.get(asset[1]).want(200); !strings.Contains(got.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: Cache-Control %q", asset[1], got.header.Get("Cache-Control"))
		}
	}
	script := v.get("assets/live.js").want(200)
	v.get("assets/live.js", "If-None-Match: "+script.header.Get("ETag")).want(304)
	v.get("assets/nothing.js").want(404)
	v.get("events?every=0").want(422)
	b.swap.setErr(io.ErrUnexpectedEOF)
	v.get("").want(200).contains("did not answer")
	missing := v.get("nothing")
	missing.want(404)
}

func TestTheOperatorsListenerLeadsToTheConsole(t *testing.T) {
	_, admin := separate(t, true)
	v := visit(t, admin)
	v.url = admin.url
	if a := v.get("/").want(307); a.header.Get("Location") != "console/" {
		t.Errorf("/ leads to %s", a.header.Get("Location"))
	}
	if a := v.get("/console").want(307); a.header.Get("Location") != "console/" {
		t.Errorf("/console leads to %s", a.header.Get("Location"))
	}
}

func TestRenewalsInTheConsole(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	v.get("renewals").want(200).contains("There are no renewals", "Start a renewal")
	form := url.Values{"algorithm": {""}, "reason": {"more <data>"}, "hyperparameters": {"wd=0.01\n\n l1 = 0.1 "}, "gate": {"off"}}
	v.post("renewals", form).want(403)
	v.send("renewals", form).want(200).contains("Start a renewal?", "more &lt;data&gt;", "l1=0.1  wd=0.01", `name="gate" value="off"`)
	if list, _ := b.client.Renewals(t.Context(), 1, ""); len(list) != 0 {
		t.Fatal("the renewal started before it was confirmed")
	}
	form.Set("confirmed", "yes")
	a := v.send("renewals", form).want(303)
	list, err := b.client.Renewals(t.Context(), 1, "")
	if err != nil || len(list) != 1 {
		t.Fatalf("renewals %v, error %v", list, err)
	}
	id := list[0].ID
	if list[0].Overrides.Hyperparameters["l1"] != "0.1" || list[0].Overrides.Gate != "off" || list[0].Reason != "more <data>" {
		t.Errorf("renewal %+v", list[0])
	}
	if a.header.Get("Location") != "renewals/"+id {
		t.Errorf("the form leads to %s", a.header.Get("Location"))
	}
	v.get("renewals").want(200).contains("renewals/"+id, "A renewal is under way", `data-events="events?every=2"`)
	v.get("renewals/"+id).want(200).contains(id, "more &lt;data&gt;", "Cancel…", "<svg", `data-events="../events?every=2"`)
	v.send("renewals", url.Values{"confirmed": {"yes"}}).want(409).contains("is not finished")
	v.get("renewals/nothing").want(404)
	v.send("renewals/"+id+"/cancel", nil).want(200).contains("Cancel the renewal")
	v.send("renewals/"+id+"/cancel", url.Values{"confirmed": {"yes"}}).want(303)
	v.get("audit").want(200).contains("POST /console/renewals/{id}/cancel", "hyperparameters=wd%3D0.01")
	if strings.Contains(v.get("audit").body, "algorithm=") {
		t.Error("the audit log has a field that was empty")
	}
	if strings.Contains(v.get("audit").body, v.form) && strings.Contains(v.get("audit").body, "form_token=") {
		t.Error("the audit log has the token of a form")
	}
}

func TestFormsOfOverrides(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	v.send("renewals", url.Values{"hyperparameters": {"a=1\nb"}, "instance_count": {"many"}}).want(422).
		contains("line 2 must be name=value", "instance_count")
	v.send("renewals/x/resume", url.Values{"from": {"lunch"}}).want(422).contains("is no step")
}

func TestAStoppedRenewalCanBeResumedInTheConsole(t *testing.T) {
	b := setup(t)
	v := operator(t, b)
	v.send("renewals", url.Values{"confirmed": {"yes"}, "gate": {"off"}}).want(303)
	list, err := b.client.Renewals(t.Context(), 1, "")
	if err != nil {
		t.Fatal(err)
	}
	id := list[0].ID
	if err := b.swap.change(id, func(r *modelswap.Renewal) error {
		why := "the data is gone"
		r.Status, r.Error = modelswap.Failed, why
		r.Steps[0].Status, r.Steps[0].Attempt, r.Steps[0].Error = modelswap.StepFailed, 1, &why
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	v.get("renewals/"+id).want(200).contains("the data is gone", "Resume…", `<option selected>export</option>`, `value="off"`)
	v.send("renewals/"+id+"/resume", url.Values{"from": {"export"}, "gate": {"auc:0"}}).want(200).contains("It goes on at the step export", "auc:0")
	v.send("renewals/"+id+"/resume", url.Values{"from": {"export"}, "gate": {"auc:0"}, "confirmed": {"yes"}}).want(303)
	renewal, err := b.client.Renewal(t.Context(), id)
	if err != nil || renewal.Status != modelswap.Queued || renewal.Overrides.Gate != "auc:0" {
		t.Errorf("renewal %+v, error %v", renewal, err)
	}
}

func TestSettingsInTheConsole(t *testing.T) {
	read := time.Now()
	v := operator(t, setup(t, func(b *bundle, _ *api.Options, _ *parts) {
		b.deps.Settings = func() []console.SettingGroup {
			return []console.SettingGroup{{Name: "Basics", Settings: []console.Setting{
				{Name: "GATEWAY_ONE", Value: "1", Default: "2", Set: true}, {Name: "GATEWAY_TWO", Value: "3", Default: "3"}}}}
		}
		b.deps.Secrets = func() []console.Secret {
			return []console.Secret{{Name: "admin", ID: "file:tokens.json", Versions: []string{"AWSCURRENT v1"}, ReadAt: read}}
		}
	}))
	a := v.get("settings").want(200).contains("GATEWAY_ONE", "default <code>2</code>", "AWSCURRENT v1", "file:tokens.json")
	if strings.Contains(a.body, "GATEWAY_TWO") {
		t.Error("a default is shown")
	}
	v.get("settings?all=yes").want(200).contains("GATEWAY_ONE", "GATEWAY_TWO")
}
