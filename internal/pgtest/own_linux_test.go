package pgtest_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gateway/internal/pgtest"
)

func TestAServerOfOnesOwn(t *testing.T) {
	s := pgtest.New(t, 0)
	ask := func(limit time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		conn, err := pgx.Connect(ctx, s.URL())
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, `CREATE TABLE IF NOT EXISTS kept (n int)`)
		return err
	}
	if err := ask(time.Minute); err != nil {
		t.Fatal(err)
	}
	s.Pause()
	if err := ask(200 * time.Millisecond); err == nil {
		t.Error("a frozen server answered")
	}
	s.Resume()
	if err := ask(time.Minute); err != nil {
		t.Errorf("after Resume: %v", err)
	}
	s.Stop()
	if err := ask(time.Minute); err == nil {
		t.Error("a stopped server answered")
	}
	s.Start()
	if err := ask(time.Minute); err != nil {
		t.Errorf("after Start: %v", err)
	}
}
