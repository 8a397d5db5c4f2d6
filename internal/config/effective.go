package config

import (
	"cmp"
	"os"
)

// Effective is a setting with its value in this process.
type Effective struct {
	Setting
	Value string
	Set   bool // by the environment; else Value is the default
}

// EffectiveGroup is a part of the table of settings.
type EffectiveGroup struct {
	Name     string
	Settings []Effective
}

// InForce returns all settings with their values, in the order of Config. Values are as the
// environment has them. None is a secret: settings name secrets.
func InForce() []EffectiveGroup {
	var groups []EffectiveGroup
	for _, group := range settingGroups() {
		g := EffectiveGroup{Name: group.name}
		for _, s := range group.settings {
			set := os.Getenv(s.Name)
			g.Settings = append(g.Settings, Effective{Setting: s, Value: cmp.Or(set, s.Default), Set: set != ""})
		}
		groups = append(groups, g)
	}
	return groups
}
