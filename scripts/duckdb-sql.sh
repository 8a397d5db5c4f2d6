#!/usr/bin/env bash
# Prints the SQL by which DuckDB does what scripts/convert.jq does.
#
#     duckdb -c "$(scripts/duckdb-sql.sh 'EXPORT/AWSDynamoDB/*/data/*.gz' OUT.csv)"
set -euo pipefail

# hot FEATURE VALUE…: a column of 0 and 1 for each value.
hot() {
  local value feature=$1
  shift
  for value; do printf "(%s.S = '%s')::INT, " "$feature" "$value"; done
}

# typed TYPE FEATURE…: the features as a column of JSON.
typed() {
  local feature type=$1
  shift
  for feature; do printf '"%s" STRUCT(%s VARCHAR), ' "$feature" "$type"; done
}

cat <<SQL
SET threads = 1;
SET memory_limit = '256MB';
COPY (
  SELECT y.N, age.N,
    $(hot job admin. blue-collar entrepreneur housemaid management retired self-employed services student technician unemployed unknown)
    $(hot marital divorced married single unknown)
    $(hot education basic.4y basic.6y basic.9y high.school illiterate professional.course university.degree unknown)
    $(hot '"default"' no yes unknown) $(hot housing no yes unknown) $(hot loan no yes unknown)
    $(hot contact cellular telephone)
    $(hot month jan feb mar apr may jun jul aug sep oct nov dec)
    $(hot day_of_week mon tue wed thu fri)
    duration.N, campaign.N, pdays.N, previous.N,
    $(hot poutcome failure nonexistent success)
    emp_var_rate.N, cons_price_idx.N, cons_conf_idx.N, euribor3m.N, nr_employed.N
  FROM (
    SELECT unnest(Item) FROM read_json('$1', format = 'newline_delimited', columns = {Item: 'STRUCT(
      $(typed S customer_id job marital education default housing loan contact month day_of_week poutcome)
      $(typed N age duration campaign pdays previous emp_var_rate cons_price_idx cons_conf_idx euribor3m nr_employed)
      y STRUCT(N VARCHAR))'})
  )
  WHERE y IS NOT NULL
) TO '$2' (FORMAT csv, HEADER false, QUOTE '');
SQL
