#!/usr/bin/env python3
"""Compares core/template with jinja2, set up as transformers sets it up, and writes tests/core/template/goldens.json.

  $(tests/parity/venv.sh) tests/parity/templates.py --program build/release/bin/render_lines [--random 20000] [--seed 1] [--write]

Everything must be equal: texts, and whether there is an error."""
import argparse, datetime, json, math, pathlib, random, subprocess, sys

import jinja2, jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from template_cases import EXPRESSIONS, STATEMENTS, VARIABLES
from template_models import CONVERSATIONS, MODELS


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_support"), [], [], body).set_lineno(line)

    def _support(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = lambda f: datetime.datetime(2024, 12, 31).strftime(f)
    return env


def render(env, template, variables):
    try:
        text = env.from_string(template).render(**variables)
        text.encode()
        return {"text": text}
    except Exception as error:  # any is an error to the caller of a template, too
        return {"error": f"{type(error).__name__}: {error}"}


class Expressions:
    """Random expressions over VARIABLES: mostly sensible, so that most of them have a value."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, *choices):
        return self.random.choice(choices)

    def number(self, depth):
        if depth <= 0:
            return self.pick("n", "m", "z", "f", "t", "1", "2", "10", "0.5", "3.25", "xs[0]", "d.a", "deep.x.y.z", "xs|length")
        a, b = self.number(depth - 1), self.number(depth - 1)
        return self.pick(f"{a} {self.pick('+', '-', '*', '/', '//', '%')} {b}", f"({a})|abs", f"-({a})", f"({a})|round({self.pick(0, 1, 2)})",
                         f"({a})|int", f"({a})|float", f"({self.sequence(depth - 1)})|length", f"({self.text(depth - 1)})|length",
                         f"{a} if {self.boolean(depth - 1)} else {b}", f"({a}) ** {self.pick(0, 1, 2)}", f"[{a}, {b}]|{self.pick('min', 'max', 'sum', 'first', 'last')}",
                         f"({self.text(depth - 1)}).{self.pick('find', 'count', 'rfind')}({self.text(0)})")

    def text(self, depth):
        if depth <= 0:
            return self.pick("s", "e", "u", "sp", "ml", "q", "'a'", "'ab, c'", "'{}'", "people[0].name", "ys[1]", "'\\n'", "' '")
        a, b = self.text(depth - 1), self.text(0)
        method = self.pick("upper()", "lower()", "title()", "capitalize()", "strip()", "lstrip()", "rstrip()", f"replace({b}, {self.text(0)})",
                           f"strip({b})", f"split({b})[0]", "split()|join('-')", "swapcase()", f"center({self.pick(3, 8, 21)})", f"ljust({self.pick(2, 30)})",
                           "splitlines()|join('|')", f"partition({b})[2]", f"removeprefix({b})", f"zfill({self.pick(2, 20)})")
        filter_ = self.pick("upper", "lower", "title", "capitalize", "trim", "string", "indent", "reverse", "tojson", f"replace({b}, 'x')", "default('q', true)",
                            "first", "last", f"trim({b})", "list|join('.')", "truncate(9)", "truncate(9, true)", "urlencode", "center(20)", "list|sort|join")
        return self.pick(f"({a}).{method}", f"({a})|{filter_}", f"{a} ~ {self.any(depth - 1)}", f"{a} + {b}", f"({a})[{self.bound()}:{self.bound()}]",
                         f"({a})[::{self.pick(1, 2, -1, -2)}]", f"({a})[{self.pick(0, 1, -1)}]", f"{a} if {self.boolean(depth - 1)} else {b}", f"({a}) * {self.pick(0, 1, 2)}",
                         f"({self.any(depth - 1)})|tojson", f"({self.any(depth - 1)})|string", f"'%s|%5s' % ({a}, {b})", f"'{{}}-{{:>6}}'.format({a}, {b})",
                         f"({self.sequence(depth - 1)})|join({b})", f"({a}) or {b}", f"({a}) and {b}")

    def bound(self):
        return self.pick("", "0", "1", "2", "-1", "-2", "100", "-100")

    def sequence(self, depth):
        if depth <= 0:
            return self.pick("xs", "ys", "empty", "[1, 2.5, 3]", "people", "nested", "(1, 2)", "range(4)", "d", "mixed", "[t, n]", "people|map(attribute='name')|list")
        a = self.sequence(depth - 1)
        filter_ = self.pick("list", "sort", "reverse|list", "unique|list", "map('string')|list", "select|list", "reject|list", "select('string')|list", "select('number')|list",
                            "batch(2)|list", "slice(2)|list", "sort(reverse=true)", "map('upper')|list", f"reject('equalto', {self.number(0)})|list",
                            f"select('in', {self.sequence(0)})|list", "map('length')|list", "map(attribute='name')|list", "selectattr('age', 'gt', 26)|list")
        return self.pick(f"({a})|{filter_}", f"({a})[{self.bound()}:{self.bound()}]", f"({a})[::{self.pick(1, 2, -1)}]", f"{a} + {self.sequence(0)}",
                         f"[{self.any(depth - 1)}, {self.any(depth - 1)}]", f"({self.any(depth - 1)},)", f"({self.text(depth - 1)})|list", f"({self.text(depth - 1)}).split()",
                         f"{{'k': {self.any(depth - 1)}, {self.number(0)}: {self.any(0)}}}", "d.items()|list", "d|dictsort", f"({a}) * {self.pick(0, 1, 2)}")

    def boolean(self, depth):
        if depth <= 0:
            return self.pick("t", "no", "n", "e", "empty", "xs", "nil", "missing", "missing is defined", "n > 3")
        a, b = self.any(depth - 1), self.any(depth - 1)
        test = self.pick("string", "number", "mapping", "sequence", "iterable", "none", "defined", "boolean", "integer", "float", "true", "odd", "even", "lower", "upper", "callable")
        return self.pick(f"{a} == {b}", f"{a} != {b}", f"{self.number(depth - 1)} {self.pick('<', '<=', '>', '>=')} {self.number(depth - 1)}", f"not ({a})",
                         f"({a}) is {self.pick('', 'not ')}{test}", f"{self.text(0)} {self.pick('', 'not ')}in {self.text(depth - 1)}", f"{a} in {self.sequence(depth - 1)}",
                         f"{self.boolean(depth - 1)} {self.pick('and', 'or')} {self.boolean(depth - 1)}", f"({self.text(depth - 1)}).{self.pick('startswith', 'endswith')}({self.text(0)})",
                         f"({self.text(depth - 1)}).{self.pick('isdigit', 'isalpha', 'isupper', 'islower', 'isspace', 'isalnum')}()", f"{a} < {b}")

    def any(self, depth):
        return self.pick(self.number, self.text, self.sequence, self.boolean)(depth)


def beyond(template, theirs, ours):
    """Differences that are promised: whole numbers beyond 64 bits, and what costs too much, are refused."""
    return "error" in ours and any(words in ours["error"] for words in ("does not fit in 64 bits", "is not a whole number of 64 bits"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--random", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    env = environment()
    goldens, extra = [], []
    for expression in EXPRESSIONS:
        goldens.append(("{{ " + expression + " }}", VARIABLES))
    for template in STATEMENTS:
        goldens.append((template, VARIABLES))
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    for name, template in MODELS.items():
        for conversation in CONVERSATIONS:
            goldens.append((template, {"tools": None, "documents": None, **tokens, **conversation}))
    expressions = Expressions(options.seed)
    for i in range(options.random):
        extra.append(("{{ " + expressions.any(i % 4) + " }}", VARIABLES))

    cases = goldens + extra
    lines = "".join(json.dumps({"template": t, "variables": v}) + "\n" for t, v in cases)
    ran = subprocess.run([options.program], input=lines.encode(), capture_output=True)
    answers = [json.loads(line) for line in ran.stdout.decode().splitlines()]
    if ran.returncode or len(answers) != len(cases):
        sys.exit(f"{options.program} ended with {ran.returncode} after {len(answers)} of {len(cases)} lines: {ran.stderr.decode()[-2000:]}\n{cases[len(answers)][0] if len(answers) < len(cases) else ''}")
    wrong = values = promised = 0
    records = []
    for i, ((template, variables), ours) in enumerate(zip(cases, answers)):
        theirs = render(env, template, variables)
        volatile = " at 0x" in theirs.get("text", "") or "<function" in theirs.get("text", "") or "object at" in theirs.get("text", "")
        if i < len(goldens) and not volatile and not beyond(template, theirs, ours):
            records.append((template, variables, theirs))
        values += "text" in theirs
        same = theirs.get("text") == ours.get("text") and ("error" in theirs) == ("error" in ours)
        if same or volatile:
            continue
        if beyond(template, theirs, ours):
            promised += 1
            continue
        wrong += 1
        if wrong <= 60:
            print(f"--- {template[:400]!r}\n  jinja2: {json.dumps(theirs)[:600]}\n  hone:   {json.dumps(ours)[:600]}")
    print(f"{len(cases)} templates, {values} with a value: {wrong} differ, {promised} refused for their size as promised")
    if options.write:
        folder = pathlib.Path(__file__).parents[1] / "core/template"
        keep = {"variables": VARIABLES, "tokens": tokens, "models": MODELS, "conversations": CONVERSATIONS, "cases": []}
        for template, variables, theirs in records:
            result = theirs["text"] if "text" in theirs else None
            if variables is VARIABLES:
                keep["cases"].append([template, result])
        names, n = list(MODELS), 0
        keep["rendered"] = {name: [render(env, MODELS[name], {"tools": None, "documents": None, **tokens, **c}).get("text") for c in CONVERSATIONS] for name in names}
        (folder / "goldens.json").write_text(json.dumps(keep, ensure_ascii=False, indent=0, separators=(",", ":")) + "\n")
        print(f"wrote {len(keep['cases'])} cases and {len(names)} x {len(CONVERSATIONS)} conversations, {(folder / 'goldens.json').stat().st_size} bytes")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main()
