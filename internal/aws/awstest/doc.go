// Package awstest has stand-ins for services of AWS that speak their wire
// protocols, so that tests use the real SDK: signing, retries, time-outs and
// the reading of errors included.
package awstest
