package app

import (
	"maps"
	"slices"

	"gateway/api/console"
	"gateway/internal/config"
)

// settingsInForce are the settings as the console shows them.
func settingsInForce() []console.SettingGroup {
	var groups []console.SettingGroup
	for _, group := range config.InForce() {
		g := console.SettingGroup{Name: group.Name}
		for _, s := range group.Settings {
			g.Settings = append(g.Settings, console.Setting{Name: s.Name, Value: s.Value, Default: s.Default, Meaning: s.Meaning, Set: s.Set})
		}
		groups = append(groups, g)
	}
	return groups
}

// secretStates are the secrets as the console shows them.
func (a *App) secretStates() []console.Secret {
	var all []console.Secret
	for _, s := range a.components.secretOpener.States() {
		one := console.Secret{Name: s.Name, ID: s.ID, ReadAt: s.ReadAt, FailingSince: s.FailingSince, Error: s.Error}
		for _, stage := range slices.Sorted(maps.Keys(s.Versions)) {
			one.Versions = append(one.Versions, string(stage)+" "+s.Versions[stage])
		}
		all = append(all, one)
	}
	return all
}
