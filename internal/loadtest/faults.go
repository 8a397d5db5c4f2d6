package main

import "context"

func faults(ctx context.Context, o options, r *report) error { return nil }
