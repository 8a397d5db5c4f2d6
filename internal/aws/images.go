package aws

import (
	"fmt"
	"strings"

	"gateway/internal/learn"
)

// Images of the built-in algorithms.
const (
	linearLearnerImage = "linear-learner:1"
	// A fixed version, because the format of the model's file depends on it.
	xgboostImage = "sagemaker-xgboost:1.7-1"
)

// registries are the AWS accounts that have the images in each region, of linear-learner
// and of XGBoost. Source: image_uri_config of the SageMaker Python SDK, November 2026.
var registries = map[string][2]string{
	"af-south-1":     {"455444449433", "510948584623"},
	"ap-east-1":      {"286214385809", "651117190479"},
	"ap-northeast-1": {"351501993468", "354813040037"},
	"ap-northeast-2": {"835164637446", "366743142698"},
	"ap-northeast-3": {"867004704886", "867004704886"},
	"ap-south-1":     {"991648021394", "720646828776"},
	"ap-south-2":     {"628508329040", "628508329040"},
	"ap-southeast-1": {"475088953585", "121021644041"},
	"ap-southeast-2": {"712309505854", "783357654285"},
	"ap-southeast-3": {"951798379941", "951798379941"},
	"ap-southeast-4": {"106583098589", "106583098589"},
	"ca-central-1":   {"469771592824", "341280168497"},
	"ca-west-1":      {"190319476487", "190319476487"},
	"cn-north-1":     {"390948362332", "450853457545"},
	"cn-northwest-1": {"387376663083", "451049120500"},
	"eu-central-1":   {"664544806723", "492215442770"},
	"eu-central-2":   {"680994064768", "680994064768"},
	"eu-north-1":     {"669576153137", "662702820516"},
	"eu-south-1":     {"257386234256", "978288397137"},
	"eu-south-2":     {"104374241257", "104374241257"},
	"eu-west-1":      {"438346466558", "141502667606"},
	"eu-west-2":      {"644912444149", "764974769150"},
	"eu-west-3":      {"749696950732", "659782779980"},
	"il-central-1":   {"898809789911", "898809789911"},
	"me-central-1":   {"272398656194", "272398656194"},
	"me-south-1":     {"249704162688", "801668240914"},
	"sa-east-1":      {"855470959533", "737474898029"},
	"us-east-1":      {"382416733822", "683313688378"},
	"us-east-2":      {"404615174143", "257758044811"},
	"us-gov-east-1":  {"237065988967", "237065988967"},
	"us-gov-west-1":  {"226302683700", "414596584902"},
	"us-west-1":      {"632365934929", "746614075791"},
	"us-west-2":      {"174872318107", "246618743249"},
}

// imageOf returns the address of an algorithm's image in a region. custom, if not empty,
// is used instead.
func imageOf(algorithm, region, custom string) (string, error) {
	if custom != "" {
		return custom, nil
	}
	var repository string
	account := 0
	switch algorithm {
	case string(learn.LinearLearner):
		repository = linearLearnerImage
	case string(learn.XGBoost):
		repository, account = xgboostImage, 1
	default:
		return "", fmt.Errorf("GATEWAY_TRAINING_IMAGE: algorithm %q needs an image", algorithm)
	}
	accounts, ok := registries[region]
	if !ok {
		return "", fmt.Errorf("GATEWAY_TRAINING_IMAGE: the address of the image of %s in region %q is unknown; set it", algorithm, region)
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	return fmt.Sprintf("%s.dkr.ecr.%s.%s/%s", accounts[account], region, domain, repository), nil
}

// CheckImage returns an error if the image of an algorithm in a region is unknown and
// custom, the setting, is empty.
func CheckImage(algorithm, region, custom string) error {
	_, err := imageOf(algorithm, region, custom)
	return err
}
