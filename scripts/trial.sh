#!/usr/bin/env bash
# Tries the whole sagemaker platform on this machine, as a user would: by the
# gateway's commands, curl, the AWS CLI, boto3 and psql. Fails at the first
# thing that is not as it should be.
#
#     scripts/trial.sh [CUSTOMERS.csv]
#
# CUSTOMERS.csv has the columns of the bank schema, labelled, such as UCI's
# bank-additional-full.csv; without it customers are generated. Who is who:
#
#     SageMaker, DynamoDB's exports    gateway sandbox, as moto has no life cycles and no manifests
#     DynamoDB, S3, Secrets Manager    moto
#     database                         PostgreSQL, whose password rotates twice meanwhile
#
# The story: customers go into DynamoDB, a first model learns from them. Then
# everybody whose last campaign was a success, whom that model rightly takes for
# likely subscribers, is reported as having said no; and the second model knows.
set -euo pipefail
shopt -s inherit_errexit
csv=${1:+$(realpath "$1")}
cd "$(dirname "$0")/.."
. scripts/trial-services.sh

say 'build the gateway, start PostgreSQL, moto and the sandbox'
go build -o "$work/bin/" ./cmd/gateway ./scripts/customers
gateway() { "$work/bin/gateway" "$@"; }
if [[ -z $csv ]]; then
  csv=$work/customers.csv
  "$work/bin/customers" -n 6000 >"$csv"
fi
start_postgres
start_moto
start_sandbox

say 'put the credentials of the database into Secrets Manager'
password=$(new_password)
psql_as postgres "$(superuser_password)" -c "CREATE ROLE app LOGIN PASSWORD '$password'" -c 'CREATE DATABASE app OWNER app'
aws secretsmanager create-secret --name trial/database --secret-string "$(database_secret "$password")" --query Name

say 'serve on the sagemaker platform, with the ordinal categories of the article'
gateway schema show | sed -E 's/type: category,/& encode: ordinal,/; s/^( *)type: category$/&\n\1encode: ordinal/' >"$work/schema.yaml"
export GATEWAY_SCHEMA=$work/schema.yaml GATEWAY_DB_SECRET_ID=trial/database
gateway schema check
start_gateway

say 'import the customers into DynamoDB'
gateway import "$csv" --url "$url"
in_table=$(aws dynamodb describe-table --table-name "$GATEWAY_CUSTOMERS_TABLE" --query Table.ItemCount --output text)
rows=$(($(wc -l <"$csv") - 1))
check "all $rows customers are in the table" "$in_table" = "$rows"

say 'make the first model'
check 'without a model the gateway is not ready' "$(status /readyz)" = 503
gateway retrain --watch --url "$url"
check 'with one it is' "$(status /readyz)" = 200
first=$(get /admin/status | jq -r .model)
check 'SageMaker serves' "$(aws sagemaker describe-endpoint --endpoint-name ServiceEndpoint --query EndpointStatus --output text)" = InService
ids "$csv" | sample 3000 >"$work/some.csv" # moto takes some 2 ms for each
start_asking "$work/some.csv" # about one after the other, until the end

say 'ask as the article does'
printf 34,10,2,4,1,2,1,1,6,3,190,1,3,4,3,-1.7,94.055,-39.8,0.715,4991.6 >"$work/row.csv"
invoke() { aws sagemaker-runtime invoke-endpoint "$@" --endpoint-name ServiceEndpoint --content-type text/csv --body "fileb://$work/row.csv" "$work/answer.json" >/dev/null; }
invoke # SageMaker itself, that is, the sandbox
direct=$(jq '.predictions[0].score' "$work/answer.json")
if python3 -c 'import boto3' 2>/dev/null; then
  answer=$(GATEWAY_URL=$url python3 scripts/invoke.py)
  echo "boto3: $answer"
  check 'boto3 gets from the gateway what the endpoint says' "$(jq '.predictions[0].score' <<<"$answer")" = "$direct"
else
  echo "SKIPPED: the article's sample, as python3 has no boto3 (pip install boto3)"
fi
invoke --endpoint-url "$url"
echo "AWS CLI: $(cat "$work/answer.json")"
check 'so does the AWS CLI' "$(jq '.predictions[0].score' "$work/answer.json")" = "$direct"

say 'score customers'
ids "$csv" poutcome success >"$work/success.csv"
score
success_before=$(mean_score)
others_before=$(mean_score not)
echo "mean scores: $success_before where the last campaign was a success, of the others $others_before"
check 'the first model takes the former for more likely subscribers' "$success_before" '>' "$others_before"

say "rotate the database's password, and cut all connections"
rotate
check "the gateway has made connections with the new password" "$(connections_of app)" '>' 0

reported=$(($(wc -l <"$work/success.csv") - 1))
say "report that of the $reported whose last campaign was a success none subscribed"
report_outcomes 0 "$work/success.csv"
label=$(aws dynamodb get-item --table-name "$GATEWAY_CUSTOMERS_TABLE" --query Item.y.N --output text \
  --key "{\"customer_id\": {\"S\": \"$(tail -n 1 "$work/success.csv")\"}}")
check 'the table has the label' "$label" = 0

say 'make the second model, and rotate the password once more meanwhile'
gateway retrain --watch --url "$url" --json >"$work/second.json" 2>"$work/second.log" &
renewal=$!
rotate
wait "$renewal" || fail "the renewal: $(cat "$work/second.log")"
grep succeeded "$work/second.log"
second=$(jq -r .model "$work/second.json")
check 'it is another model' "$second" != "$first"
check 'it learned from every outcome' "$(jq '.steps[] | select(.name == "convert").detail.new_labels' "$work/second.json")" = "$reported"
check 'it is better on the same held-out rows' "$(jq .metrics.challenger.auc "$work/second.json")" '>' "$(jq .metrics.champion.auc "$work/second.json")"

say 'score them again'
score
success_after=$(mean_score)
others_after=$(mean_score not)
echo "mean scores: $success_after where the last campaign was a success (before: $success_before), of the others $others_after (before: $others_before)"
check 'the former have fallen below half' "$success_after" '<' "$(jq -n "$success_before / 2")"
check 'the others have moved less than a quarter as far' \
  "$(jq -n "($others_after - $others_before) | fabs")" '<' "$(jq -n "($success_before - $success_after) / 4")"

say 'what it was like for those who asked meanwhile'
stop_asking
check 'all were answered' "$(grep -cv '^200 ' "$work/asked")" = 0
check 'by the first model' "$(grep -c " $first\$" "$work/asked")" '>' 0
check 'and by the second' "$(grep -c " $second\$" "$work/asked")" '>' 0
check 'by nobody else' "$(grep -cv -e " $first\$" -e " $second\$" "$work/asked")" = 0
check 'the ledger has them' "$(psql_as app "$password" -d app -c 'SELECT count(*) FROM predictions')" '>=' "$(wc -l <"$work/asked")"

check 'after all this the gateway lacks nothing' "$(curl -s "$url/readyz" | jq -r .status)" = ok

say 'all is well'
