// Package postgres connects to a PostgreSQL server so that the server must prove itself:
// TLS with a verified certificate, and a login that never sends the password. The gateway
// and the rotation of its password use the same settings.
package postgres
