package learn_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"gateway/internal/learn"
)

func Example() {
	csv := "0,17,0\n0,25,1\n1,31,0\n0,38,0\n1,46,1\n1,52,0\n0,60,0\n1,65,1\n"
	data, err := learn.ReadCSV(strings.NewReader(csv), []string{"age", "student"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	model, err := learn.Train(context.Background(), data, learn.Options{
		Algorithm:       learn.LinearLearner,
		Hyperparameters: map[string]string{"wd": "0.1", "mini_batch_size": "200"},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	fmt.Printf("P(yes) = %.2f\n", model.Score([]float64{50, 0}))
	for i, c := range model.Contributions([]float64{50, 0}) {
		fmt.Printf("%s: %+.2f\n", model.Columns()[i], c)
	}
	fmt.Println("ignored:", model.Ignored())
	// Output:
	// P(yes) = 0.55
	// age: +0.32
	// student: -0.12
	// ignored: [mini_batch_size]
}

func ExampleCheckHyperparameters() {
	fmt.Println(learn.CheckHyperparameters(learn.XGBoost, map[string]string{"max_dept": "6", "eta": "fast"}))
	// Output:
	// hyperparameter "eta": fast: want a number
	// hyperparameter "max_dept": unknown; did you mean "max_depth"?
}
