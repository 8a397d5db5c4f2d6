// Package lambda runs a gateway as a function of AWS Lambda, on the runtime provided.al2023.
//
// Lambda gives a function one event at a time and may freeze the process, or end it without a
// word, once the event is answered. Serve takes two kinds of events: requests of a function URL
// or of an HTTP API, in payload format 2.0, which go to the gateway's handler; and scheduled
// events of EventBridge, at which the gateway does what a service does beside its requests.
//
// Formats: requests and answers
// (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html),
// scheduled events
// (https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-scheduler.html).
package lambda
