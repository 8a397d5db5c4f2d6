// Package rotate replaces the credentials in a secret, in the four steps of AWS Secrets
// Manager: createSecret, setSecret, testSecret and finishSecret.
//
// A [Rotator] does one step for each call of [Rotator.Do]. A token names the new version of
// the secret and makes a step safe to repeat: a step that was interrupted at any point, or
// that is called again later, goes on from what the secret and the server have. At every
// moment one of the versions of the secret is accepted.
//
//	step          what it changes
//	createSecret  the secret: a pending version with a new password
//	setSecret     the server: it accepts the pending version
//	testSecret    nothing: it logs in with the pending version
//	finishSecret  the secret: the pending version becomes the current one, in one call
//
// # What is rotated
//
// The members of a secret say what it is: tokens of operators or keys of apps, which the
// gateway itself reads, or the user of a database. The [Strategy] of a database says who
// changes the password, and whose.
//
// # Ports
//
// A [Store] keeps the versions of a secret, and a [Server] is a database whose passwords can
// be changed. Package manager has the store in Secrets Manager, package databases the servers,
// and this package the store in a file.
package rotate
