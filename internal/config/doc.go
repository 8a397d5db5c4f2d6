// Package config is the settings of a gateway: Config has them all, Load reads and
// checks them, and Settings and Document list them for people.
//
// To add a setting, add a field to one of the groups in settings.go. Its tags have
// the name, the default, the bounds and the meaning; what tags cannot say is
// checked in load.go.
package config
