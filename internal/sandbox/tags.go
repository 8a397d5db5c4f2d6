package sandbox

import (
	"slices"
	"strings"
)

type tag struct{ Key, Value string }

// put adds tags to a resource and replaces those with the same keys.
func (s *Server) put(arn string, tags []tag) {
	for _, t := range tags {
		i := slices.IndexFunc(s.tags[arn], func(old tag) bool { return old.Key == t.Key })
		if i < 0 {
			s.tags[arn] = append(s.tags[arn], t)
			continue
		}
		s.tags[arn][i] = t
	}
}

// checkTags returns an error unless tags are within the limits of the service model.
func checkTags(tags []tag) error {
	if len(tags) > 50 {
		return validationf("1 validation error detected: Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to 50")
	}
	for _, t := range tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || strings.HasPrefix(t.Key, "aws:") {
			return validationf("1 validation error detected: Value '%s' at 'tags' failed to satisfy constraint", t.Key)
		}
	}
	return nil
}

type tagsInput struct {
	ResourceArn string
	Tags        []tag
	TagKeys     []string
	NextToken   string
	MaxResults  int
}

// known returns an error unless the resource with the ARN exists.
func (s *Server) known(arn string) error {
	for _, all := range []func(func(string) bool) bool{
		func(is func(string) bool) bool {
			for _, j := range s.jobs {
				if is(j.arn) {
					return true
				}
			}
			return false
		},
		func(is func(string) bool) bool {
			for _, m := range s.models {
				if is(m.arn) {
					return true
				}
			}
			return false
		},
		func(is func(string) bool) bool {
			for _, c := range s.configs {
				if is(c.arn) {
					return true
				}
			}
			return false
		},
		func(is func(string) bool) bool {
			for _, e := range s.endpoints {
				if is(e.arn) {
					return true
				}
			}
			return false
		},
	} {
		if all(func(other string) bool { return strings.EqualFold(other, arn) }) {
			return nil
		}
	}
	return validationf("Could not find resource \"%s\".", arn)
}

func (s *Server) addTags(_ *call, in *tagsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := s.known(in.ResourceArn); err != nil {
		return nil, err
	}
	s.put(in.ResourceArn, in.Tags)
	return struct{ Tags []tag }{s.tags[in.ResourceArn]}, nil
}

func (s *Server) deleteTags(_ *call, in *tagsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.known(in.ResourceArn); err != nil {
		return nil, err
	}
	s.tags[in.ResourceArn] = slices.DeleteFunc(s.tags[in.ResourceArn], func(t tag) bool { return slices.Contains(in.TagKeys, t.Key) })
	return none{}, nil
}

func (s *Server) listTags(_ *call, in *tagsInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.known(in.ResourceArn); err != nil {
		return nil, err
	}
	all := s.tags[in.ResourceArn]
	names := make([]string, len(all))
	byName := make(map[string]tag)
	for i, t := range all {
		names[i], byName[t.Key] = t.Key, t
	}
	chosen, next, err := paged(names, in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := struct {
		Tags      []tag
		NextToken string `json:",omitzero"`
	}{Tags: []tag{}, NextToken: next}
	for _, name := range chosen {
		out.Tags = append(out.Tags, byName[name])
	}
	return out, nil
}
