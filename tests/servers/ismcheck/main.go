// Decode an ISM policy from standard input into the types of OpenSearch's own Go client, strictly:
// a key that the client does not know, or a value of another type, is an error.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/opensearch-project/opensearch-go/v4/plugins/ism"
)

func main() {
	decoder := json.NewDecoder(os.Stdin)
	decoder.DisallowUnknownFields()
	var body ism.PoliciesPutBody
	if err := decoder.Decode(&body); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(len(body.Policy.States), "states")
}
