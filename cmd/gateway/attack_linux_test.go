package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gateway/internal/gatewaytest"
	"gateway/internal/schema"
	"gateway/internal/testsize"
)

// memoryAllowed is what the gateways of these tests are told that they may use.
const memoryAllowed = 256 << 20

// TestManyLargeListsStayWithinMemory sends the lists that cost a gateway most,
// from 80 clients at once, to a process that may use 256 MiB. The memory that the
// process has held at most is the kernel's count. Under the race detector, which
// needs several times as much for itself, it is that of Go's runtime.
func TestManyLargeListsStayWithinMemory(t *testing.T) {
	list := func(name, item string, count int) string {
		return `{"` + name + `":[` + strings.TrimSuffix(strings.Repeat(item+",", count), ",") + `]}`
	}
	unknown := func(count int) string {
		var b strings.Builder
		for i := range count {
			fmt.Fprintf(&b, `"%x":0,`, i)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	url, peak := limited(t)   // one for all: the most of all attacks counts
	each := testsize.Of(2, 4) // requests of a client
	attacks := []struct{ name, path, body, kind string }{
		{"bad outcomes in small lists", "/outcomes", list("outcomes", `{}`, 1300), "application/json"},
		{"a prediction with unknown members", "/predict", unknown(100_000), "application/json"},
		{"rows of numbers", "/endpoints/ServiceEndpoint/invocations", strings.Repeat(strings.Repeat("1,", schema.Bank().Width()-1)+"1\n", 40_000), "text/csv"},
		{"bad outcomes", "/outcomes", list("outcomes", `{"a":0}`, 9999), "application/json"},
		{"outcomes of unknown customers", "/outcomes", list("outcomes", `{"customer_id":"x","outcome":1}`, 9999), "application/json"},
		{"predictions that lack features", "/predict/batch", list("instances", `{"age":34}`, 9999), "application/json"},
		{"predictions of unknown customers", "/predict/batch", list("instances", `{"customer_id":"x"}`, 9999), "application/json"},
	}
	for _, tt := range attacks[:testsize.Of(3, len(attacks))] { // the first cost most
		t.Run(tt.name, func(t *testing.T) {
			statuses := attack(t, url+tt.path, tt.kind, tt.body, 80, each)
			t.Logf("%d bytes each: %v; peak %d MiB", len(tt.body), statuses, peak()>>20)
			if peak() > memoryAllowed {
				t.Errorf("the gateway held %d MiB", peak()>>20)
			}
			for status := range statuses {
				if status >= 500 && status != http.StatusServiceUnavailable {
					t.Errorf("got status %d", status)
				}
			}
			if statuses[http.StatusServiceUnavailable] == 80*each {
				t.Error("all were turned away")
			}
		})
	}
}

// TestManyConnectionsStayWithinMemory opens as many connections as there may be,
// each of which costs as much as it can: it has sent most of a header of the
// largest size in the shortest lines, or a body that is not charged yet.
func TestManyConnectionsStayWithinMemory(t *testing.T) {
	flood := "POST /outcomes HTTP/1.1\r\nHost: g\r\n"
	for i := 0; len(flood) < 36<<10; i++ {
		flood += fmt.Sprintf("%x:\r\n", i)
	}
	for _, tt := range []struct{ name, begin string }{
		{"short header lines", flood},
		{"long header lines", "POST /outcomes HTTP/1.1\r\nHost: g\r\n" + strings.Repeat("X-Long: "+strings.Repeat("x", 500)+"\r\n", 64)},
		{"small bodies", "POST /outcomes HTTP/1.1\r\nHost: g\r\nContent-Type: application/json\r\nContent-Length: 16384\r\n\r\n" + strings.Repeat(" ", 16000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			url, peak := limited(t)
			before, addr := peak(), strings.TrimPrefix(url, "http://")
			const count = 1024
			for i := range count {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(gatewaytest.Patience))
				_, _ = io.WriteString(conn, tt.begin) // it may be refused
			}
			t.Logf("%d connections: peak %d MiB, before them %d MiB", count, peak()>>20, before>>20)
			if peak() > memoryAllowed {
				t.Errorf("the gateway held %d MiB", peak()>>20)
			}
		})
	}
}

// limited runs a gateway with a demo model as a process with a memory limit, and
// tells the most memory that it has held.
func limited(t *testing.T) (url string, peak func() int64) {
	t.Helper()
	fill(t, newConfig(t))
	addr, peakFile := gatewaytest.FreePort(t), filepath.Join(t.TempDir(), "peak")
	cmd := exec.Command(os.Args[0], "serve")
	cmd.Env = append(os.Environ(), "RUN_AS_GATEWAY=1", "GATEWAY_ADDR="+addr,
		"GATEWAY_LOG_LEVEL=error", "GOMEMLIMIT="+strconv.Itoa(memoryAllowed/20*17), peakFileVariable+"="+peakFile)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url = "http://" + addr
	gatewaytest.Eventually(t, "/readyz is 200", func() bool {
		res, err := http.Get(url + "/readyz")
		return err == nil && res.Body.Close() == nil && res.StatusCode == http.StatusOK
	})
	if raceDetector {
		return url, func() int64 { return recordedPeak(t, peakFile) }
	}
	return url, func() int64 { return highWater(t, cmd.Process.Pid) }
}

// highWater is the most memory that a process has had, by the kernel, without
// the pages of the program's file, which the kernel can drop.
func highWater(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	kib := func(name string) int64 {
		found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(text)
		if found == nil {
			t.Fatalf("the process has ended: %s", text)
		}
		n, err := strconv.ParseInt(string(found[1]), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n << 10
	}
	return kib("VmHWM") - kib("RssFile")
}

// attack has clients send the same body again and again, and counts the statuses.
func attack(t *testing.T, url, kind, body string, clients, each int) map[int]int {
	t.Helper()
	var mu sync.Mutex
	statuses := make(map[int]int)
	var all sync.WaitGroup
	for range clients {
		client := &http.Client{Timeout: gatewaytest.Patience, Transport: &http.Transport{}}
		all.Go(func() {
			defer client.CloseIdleConnections()
			for range each {
				status := 0
				res, err := client.Post(url, kind, bytes.NewReader([]byte(body)))
				if err == nil {
					status = res.StatusCode
					_, _ = io.Copy(io.Discard, res.Body)
					_ = res.Body.Close()
				}
				mu.Lock()
				statuses[status]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return statuses
}
