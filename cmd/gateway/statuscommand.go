package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gateway/api"
	"gateway/api/client"
	"gateway/internal/modelswap"
)

type statusCommand struct {
	remote
}

// Help is shown by gateway status --help.
func (statusCommand) Help() string {
	return "Exit code 1 also means that a dependency is unavailable, so that the gateway cannot predict; one that is degraded is exit code 0.\n\n" + exitCodesHelp
}

// statusPage is the part of GET /admin/status that people look at first.
type statusPage struct {
	Version       string    `json:"version"`
	StartedAt     time.Time `json:"started_at"`
	UptimeSeconds int64     `json:"uptime_seconds"`
	Platform      string    `json:"platform"`
	Endpoint      string    `json:"endpoint"`
	Schema        struct {
		Name        string `json:"name"`
		Fingerprint string `json:"fingerprint"`
	} `json:"schema"`
	Model       *string `json:"model"`
	Renewal     *string `json:"renewal"`
	LastRenewal *struct {
		ID         string           `json:"id"`
		Status     modelswap.Status `json:"status"`
		FinishedAt *time.Time       `json:"finished_at"`
		Error      string           `json:"error"`
	} `json:"last_renewal"`
	Schedule *struct {
		Next time.Time `json:"next"`
	} `json:"schedule"`
	Customers *struct {
		Total    int64  `json:"total"`
		Labelled *int64 `json:"labelled"`
		Demo     int64  `json:"demo"`
	} `json:"customers"`
	Outbox *struct {
		Rows    int64 `json:"rows"`
		Dropped int64 `json:"dropped"`
	} `json:"outbox"`
	Breaker *struct {
		State string `json:"state"`
	} `json:"breaker"`
	Dependencies map[string]api.Condition `json:"dependencies"`
	Unknown      []string                 `json:"unknown"`
	Stale        map[string]time.Time     `json:"stale"`
}

// Run prints the state of the gateway. It fails where the gateway cannot predict.
func (cmd statusCommand) Run(c *console) error {
	return cmd.onExisting(c, func(ctx context.Context, client *client.Client) error {
		full, err := client.Status(ctx)
		if err != nil {
			return err
		}
		page, err := readStatus(full)
		if err != nil {
			return err
		}
		if cmd.JSON {
			err = printJSON(c, full)
		} else {
			if cmd.URL == "" {
				fmt.Fprintln(c.stderr, "no gateway serves from this data dir: this is what the data dir holds")
			}
			err = writeTable(c.stdout, page.rows(cmd.URL != ""))
		}
		if err != nil {
			return err
		}
		return page.fault()
	})
}

func readStatus(full map[string]any) (page statusPage, err error) {
	text, err := json.Marshal(full)
	if err == nil {
		err = json.Unmarshal(text, &page)
	}
	if err != nil {
		return page, fmt.Errorf("the gateway's answer: %w", err)
	}
	return page, nil
}

// rows are the page for people. serves says that it is that of a gateway that
// serves, and not of one that began for this command.
func (p *statusPage) rows(serves bool) [][]string {
	model := "none serves: " + noModelHint
	switch {
	case p.Model != nil:
		model = *p.Model
	case slices.Contains(p.Unknown, "model"):
		model = "unknown"
	}
	rows := [][]string{{"version", p.Version}}
	if serves {
		uptime := time.Duration(p.UptimeSeconds) * time.Second
		rows = append(rows, []string{"started", fmt.Sprintf("%s (up %s)", shownTime(p.StartedAt), uptime)})
	}
	rows = append(rows, [][]string{
		{"platform", p.Platform + ", endpoint " + p.Endpoint},
		{"schema", fmt.Sprintf("%s (%.12s)", p.Schema.Name, p.Schema.Fingerprint)},
		{"model", model},
		{"renewal", shownName(p.Renewal)},
	}...)
	if last := p.LastRenewal; last != nil {
		text := fmt.Sprintf("%s %s at %s", last.ID, last.Status, shownTimePtr(last.FinishedAt))
		if last.Error != "" {
			text += ": " + oneLine(last.Error)
		}
		rows = append(rows, []string{"last renewal", text})
	}
	if p.Schedule != nil {
		next := shownTime(p.Schedule.Next)
		if p.Schedule.Next.IsZero() {
			next = "no schedule (GATEWAY_RETRAIN_SCHEDULE)"
		}
		rows = append(rows, []string{"next renewal", next})
	}
	if n := p.Customers; n != nil {
		text := fmt.Sprint(n.Total)
		if n.Labelled != nil {
			text += fmt.Sprintf(", %d labelled, %d generated", *n.Labelled, n.Demo)
		}
		rows = append(rows, []string{"customers", text})
	}
	if p.Outbox != nil {
		rows = append(rows, []string{"outbox", fmt.Sprintf("%d predictions waiting, %d dropped", p.Outbox.Rows, p.Outbox.Dropped)})
	}
	if p.Breaker != nil {
		rows = append(rows, []string{"breaker", p.Breaker.State})
	}
	for _, name := range slices.Sorted(maps.Keys(p.Dependencies)) {
		rows = append(rows, []string{"dependency " + name, conditionText(p.Dependencies[name])})
	}
	for _, part := range slices.Sorted(maps.Keys(p.Stale)) {
		rows = append(rows, []string{"stale", fmt.Sprintf("%s, read at %s", part, shownTime(p.Stale[part]))})
	}
	if len(p.Unknown) > 0 {
		rows = append(rows, []string{"unknown", strings.Join(p.Unknown, ", ")})
	}
	return rows
}

func conditionText(c api.Condition) string {
	text := c.State
	if c.Since != nil {
		text += " since " + shownTime(*c.Since)
	}
	if c.Detail != "" {
		text += ": " + oneLine(c.Detail)
	}
	return text
}

// fault names the dependencies that keep the gateway from predicting.
func (p *statusPage) fault() error {
	var failing []string
	for _, name := range slices.Sorted(maps.Keys(p.Dependencies)) {
		if c := p.Dependencies[name]; c.State == "unavailable" {
			failing = append(failing, name+" ("+oneLine(cmp.Or(c.Detail, "no detail"))+")")
		}
	}
	if len(failing) > 0 {
		return fmt.Errorf("the gateway cannot predict: %s", strings.Join(failing, "; "))
	}
	return nil
}
