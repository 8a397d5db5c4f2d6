package console

import (
	"net/http"
	"time"
)

// SettingGroup is a part of the table of settings.
type SettingGroup struct {
	Name     string
	Settings []Setting
}

// Setting is a setting with its value in this process. Value is never a secret.
type Setting struct {
	Name, Value, Default, Meaning string
	Set                           bool // by the environment; else Value is the default
}

// Secret is the state of a secret, never its value.
type Secret struct {
	Name         string // its purpose
	ID           string // in its source
	Versions     []string
	ReadAt       time.Time
	FailingSince *time.Time
	Error        string
}

// settingsPage is what the page of settings shows.
type settingsPage struct {
	Groups  []SettingGroup
	Secrets []Secret
	All     bool // settings that have their default too
	Now     time.Time
}

func (c *Console) settings(r *http.Request) (*page, error) {
	data := settingsPage{Secrets: c.d.Secrets(), All: r.URL.Query().Get("all") == "yes", Now: time.Now()}
	for _, group := range c.d.Settings() {
		shown := SettingGroup{Name: group.Name}
		for _, s := range group.Settings {
			if data.All || s.Set {
				shown.Settings = append(shown.Settings, s)
			}
		}
		if len(shown.Settings) > 0 {
			data.Groups = append(data.Groups, shown)
		}
	}
	return &page{name: "settings", title: "Settings", data: data}, nil
}
