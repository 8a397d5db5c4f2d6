// Package databases changes the passwords of users of PostgreSQL, MySQL and MariaDB. Its
// types implement [rotate.Server].
//
// A connection is made as the gateway's own: with TLS and a verified certificate unless the
// server is on this machine, and never with less than that after a failure.
package databases
