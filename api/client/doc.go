// Package client is the typed client of a gateway, for the gateway's commands and for other
// Go programs.
//
//	c := &client.Client{BaseURL: "http://127.0.0.1:8080"}
//	prediction, err := c.Predict(ctx, api.PredictionRequest{CustomerID: "10042"})
package client
