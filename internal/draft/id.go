package draft

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// tokens splits a header into its words in lower case: at blanks and signs, and
// where a capital follows a small letter (customerID, PassengerId).
func tokens(header string) []string {
	var all []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			all = append(all, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(header)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]) {
			flush()
		}
		word = append(word, r)
	}
	flush()
	if strings.HasSuffix(strings.TrimSpace(header), "#") {
		all = append(all, "nr")
	}
	return all
}

var (
	idWords       = words("id ids uuid guid key nr no num number nummer code numéro numero número identifiant identificador identifier kennung matricule matrícula matricula schlüssel schluessel ид номер 编号")
	customerWords = words("customer client user kunde kunden cliente clients member person account passenger patient employee claim applicant borrower subscriber caller contact lead contract order policy loan compte adhérent adherent abonné abonne cuenta conta socio vertrag msisdn клиент 客户 顧客")
	idNames       = words("id customerid clientid userid custid cust_id kundennummer kundennr kunden_nr kundenid uid vertragsnummer vertragsnr policennummer versicherungsnummer mitgliedsnummer accountid memberid idcliente clienteid dni nif cpf cnpj rut rfc curp siret ssn acct acctid acctno acctnr accountno accountnr accountnumber memberno customerno clientno codicefiscale 顧客番号 顧客id 会員番号 会員id 客户编号 客户号 客户id 用户id 用户编号 会员号 会员编号 고객번호 고객id 회원번호 номерклиента")
	contactWords  = words("phone telephone telefon tel mobile mobil handy fax email mail iban ssn imei телефон 电话 電話")
	indexNames    = words("index rownumber row rownum rowid row_id unnamed_0 unnamed x1 lfd zeile ligne fila nr no number seq sequence")
)

// idRank returns how much a header looks like the name of a customer's id:
// 3 for a customer's id, 2 for an id, 1 for an id of something, 0 for none.
func idRank(header string) int {
	all := tokens(header)
	name := strings.Join(all, "_")
	hasID := slices.ContainsFunc(all, func(w string) bool { return slices.Contains(idWords, w) })
	about := slices.ContainsFunc(all, func(w string) bool { return slices.Contains(customerWords, w) })
	switch {
	case hasID && about, slices.Contains(idNames, strings.ReplaceAll(name, "_", "")) && name != "id":
		return 3
	case name == "id" || name == "uuid" || name == "guid":
		return 2
	case hasID && len(all) > 1 && (slices.Contains(all, "id") || slices.Contains(all, "uuid")):
		return 1
	}
	return 0
}

// namesCustomer reports whether a column has the name of a customer, and values such as
// K-0815: texts with a digit and without a blank.
func (c *column) namesCustomer() bool {
	all := tokens(c.header)
	return len(all) == 1 && slices.Contains(customerWords, all[0]) && !c.numbers[plain].any &&
		c.all(func(text string) bool { return strings.ContainsAny(text, "0123456789") && !strings.Contains(text, " ") })
}

// isContact reports whether a header is that of a phone number or another number
// that belongs to one person.
func isContact(header string) bool {
	return slices.ContainsFunc(tokens(header), func(w string) bool { return slices.Contains(contactWords, w) })
}

// isIndexName reports whether a header is that of an index or row number: pandas
// writes an index without a name.
func (c *column) isIndexName() bool {
	return strings.HasPrefix(c.header, "column_") || slices.Contains(indexNames, strings.Join(tokens(c.header), "_")) ||
		slices.Contains(indexNames, strings.Join(tokens(c.header), ""))
}

// chooseID chooses the column of the customer id, nil for none, with the reason.
// A column with a value that repeats is never taken.
func (d *decisions) chooseID(label *column) (*column, string, error) {
	if name := d.opts.ID; name != "" {
		c, err := d.table.column(name)
		fault := func(format string, args ...any) (*column, string, error) {
			return nil, "", &OptionError{"id", fmt.Sprintf(format, args...)}
		}
		switch {
		case err != nil:
			return fault("%v", err)
		case c == label:
			return fault("column %q cannot be both the id and the label", c.header)
		case c.repeated:
			return fault("column %q cannot be the id: a value occurs in more than one row", c.header)
		case c.missingCount() > 0:
			return fault("column %q cannot be the id: %s no value", c.header, rowsText(c.missingCount()))
		}
		return c, "named by --id", nil
	}
	var best *column
	bestRank, repeats := 0, ""
	for _, c := range d.table.columns {
		if c == label {
			continue
		}
		rank := idRank(c.header)
		if rank == 0 && c.namesCustomer() {
			rank = 1
		}
		if rank == 0 || c.isIndexName() {
			continue
		}
		if !c.unique() {
			if rank >= 2 && repeats == "" {
				repeats = fmt.Sprintf("; column %q has the name of an id, but %s", c.header, c.whyNotUnique())
			}
			continue
		}
		if _, _, date := c.dates.format(); date && rank < 2 {
			continue
		}
		if rank > bestRank {
			best, bestRank = c, rank
		}
	}
	if best == nil {
		return nil, "no column has the name of an id and values that never repeat" + repeats, nil
	}
	return best, "its name is that of an id and no value repeats", nil
}

func (c *column) whyNotUnique() string {
	if c.unique() {
		return "another column is the id"
	}
	if c.repeated {
		return "a value occurs in more than one row"
	}
	return rowsText(c.missingCount()) + " no value"
}
