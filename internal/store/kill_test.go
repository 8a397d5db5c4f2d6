package store

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"gateway/internal/failure"
	"gateway/internal/insights/insightstest"
	"gateway/internal/predict"
)

// killedEnv names the database for the child of TestSQLiteSurvivesAKill.
const killedEnv = "GATEWAY_STORE_KILLED_CHILD"

// TestSQLiteSurvivesAKill lets a child process append and print the ids of what
// Append said was recorded, kills it in the middle, and looks for all of them.
func TestSQLiteSurvivesAKill(t *testing.T) {
	if path := os.Getenv(killedEnv); path != "" {
		appendUntilKilled(path)
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "gateway.db")
	printed := 0
	for round := range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestSQLiteSurvivesAKill$")
		child.Env = append(os.Environ(), killedEnv+"="+path)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		must(t, err)
		must(t, child.Start())
		var ids []string
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadString('\n')
			if err != nil { // what was printed before the kill is read to its end
				break
			}
			ids = append(ids, line[:len(line)-1])
			if len(ids) == 300+100*round {
				must(t, child.Process.Kill())
			}
		}
		if err := child.Wait(); child.ProcessState.ExitCode() != -1 {
			t.Fatalf("the child ended by itself: %v", err)
		}

		s := openAt(t, path)
		for _, id := range ids {
			if _, found := readLedger(t, s, id); !found {
				t.Errorf("round %d: prediction %s was reported as recorded and is gone", round, id)
			}
		}
		if n, _ := insightstest.CheckSums(t, s); n < len(ids) {
			t.Errorf("round %d: %d predictions, %d were reported", round, n, len(ids))
		}
		var verdict string
		must(t, s.write.QueryRow(`PRAGMA integrity_check`).Scan(&verdict))
		want(t, "integrity", verdict, "ok")
		must(t, s.Close())
		printed += len(ids)
	}
	t.Logf("%d predictions printed before the kills", printed)
}

func appendUntilKilled(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	s, err := onLine(OpenSQLite(context.Background(), path))
	fail(err)
	for range 8 {
		go func() {
			for i := 0; ; i++ {
				p := newPrediction(failure.NewID())
				p.Bins = []byte{'4', byte('0' + i%9)}
				fail(s.Append(context.Background(), []predict.Prediction{p}))
				if i%3 == 0 {
					_, err := s.RecordOutcomes(context.Background(), []predict.Outcome{{PredictionID: p.ID, Label: i % 2}})
					fail(err)
				}
				_, err := fmt.Println(p.ID)
				fail(err)
			}
		}()
	}
	select {}
}
