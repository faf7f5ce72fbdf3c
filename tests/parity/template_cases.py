"""Templates and expressions for templates.py: the templates are written for this test in the styles of the families that they name."""

VARIABLES = {
    "n": 7, "m": -3, "z": 0, "f": 2.5, "big": 1e20, "tiny": 1.5e-7, "t": True, "no": False, "nil": None,
    "s": "Hello, World", "e": "", "u": "straße Ünï çödé 日本語 😀", "sp": "  \t padded text \n", "ml": "one\ntwo\r\n\nthree", "q": "it's \"quoted\"",
    "xs": [3, 1, 2], "ys": ["b", "A", "c", "a"], "mixed": [1, "two", None, True, 2.5], "empty": [], "nested": [[1, 2], [3, [4]]],
    "d": {"b": 2, "a": 1, "items": "shadow", "key with space": [1]}, "ed": {}, "deep": {"x": {"y": {"z": 5}}},
    "people": [{"name": "Ann", "age": 30, "tags": ["x"]}, {"name": "bob", "age": 25, "tags": []}, {"name": "Cid", "age": 30, "extra": 1}],
}

EXPRESSIONS = r"""
n + 1
n - m
n * f
n / 2
n // 2
m // 2
m % 2
n % m
f // 1
-f // 1
f % 1
-f % 2
2 ** 10
2 ** 3 ** 2
2 ** -1
-2 ** 2
0.1 + 0.2
1e16
1e15
123456789012345678
1.0
-0.0
1e-4
1e-5
0.1 * 3
big
tiny
big * 10
1_000
0x1F
0b101
0o17
1.5e3
1e3
10 / 5
7.0 // 2
t + 1
t and n
no or e
no or nil
e or 'x'
not e
not n
n and s
not t and no
1 < 2 < 3
1 < 3 < 2
1 == 1.0
1 == true
'a' < 'b'
'a' == 'a' != 'b'
[1, 2] == [1, 2]
[1, 2] < [1, 3]
(1, 2) == [1, 2]
{'a': 1} == {'a': 1.0}
none == none
nil is none
nil is not none
n is none
missing is defined
missing is undefined
missing is not defined
n is defined
d.a is defined
d.zz is defined
d.zz
missing
missing.x
missing['x']
missing()
missing + 1
1 + missing
'a' + missing
missing == missing
missing ~ 'x'
missing|default('d')
missing|d('d')
e|default('d')
e|default('d', true)
nil|default('d')
nil|default('d', true)
n|default('d')
missing|length
missing|list
missing|upper
missing or 'x'
missing in [1]
1 in missing
s ~ n ~ f ~ t ~ nil
'a' 'b' "c"
'a' * 3
3 * 'ab'
'a' * -1
[1] * 2
[1] + [2]
(1,) + (2,)
'a' + 'b'
'a' + 1
1 + 'a'
[1] + (2,)
[1] + 'a'
nil + 1
n.foo
s.foo
s.foo()
n()
s()
xs
ys
mixed
nested
d
ed
empty
people
()
(1,)
(1, 2)
1, 2
[]
{}
{'a': [1, (2,)], 1: none, true: 2}
{'a': 1, 'a': 2}
[t, no, nil, f, s]
['it\'s', "q\"q", 'both\'"', 'new\nline', 'tab\t', 'back\\slash', '\x00', '\x7f', 'é', '\u200b', '😀', '\xa0']
q
[q]
[u]
'\n'|length
'\d'
'\101'
'\x41\u00e9\U0001F600'
s[0]
s[-1]
s[100]
s[1:4]
s[:3]
s[-3:]
s[::-1]
s[::2]
s[10:2:-2]
s[5:1]
u[0:8]
u[-1]
u|length
u[::-1]
xs[0]
xs[-1]
xs[5]
xs[1:]
xs[:-1]
xs[::-1]
xs[1:100]
xs['a']
xs.0
xs.1
xs[t]
xs[1.0]
d['a']
d.a
d['zz']
d['items']
d.items
d.items()
d.items()|list
d.keys()
d.keys()|list
d.values()|list
d['key with space'][0]
d.get('a')
d.get('zz')
d.get('zz', 5)
d.get('zz', default=5)
deep.x.y.z
deep['x'].y['z']
deep.x.q.z
deep.x.q is defined
n[0]
nil[0]
nil.x
nil[1:]
missing[1:]
d[1:]
people[0].name
people[-1]['name']
people[0].tags[0]
people|length
people[0] is mapping
'o' in s
'xyz' in s
'' in s
1 in xs
9 not in xs
'a' in d
1 in d
'two' in mixed
1 in s
nil in mixed
[1] in nested
1 in n
not 1 in xs
(1 if t)
(1 if no)
1 if t else 2
1 if no else 2
1 if no else 2 if no else 3
'x' if missing is defined else 'y'
(1 if no) is defined
s.upper()
s.lower()
u.upper()
u.lower()
u.title()
u.capitalize()
u|title
u|capitalize
'ǆ'.title()
'ß'.capitalize()
'ΑΣ ΣΑΣ'.lower()
"they're bill's friends".title()
"they're bill's (friends) a-b {c} [d]"|title
'hELLO wORLD'|capitalize
'hELLO wORLD'.swapcase()
'İi'.lower()
sp.strip()
sp.lstrip()
sp.rstrip()
sp|trim
'xxhixx'.strip('x')
'xyhiyx'.lstrip('yx')
'xyhiyx'|trim('x')
'xyhiyx'|trim(chars='xy')
'\u3000 a \u2003'.strip()
'\u200ba'.strip()
s.split()
s.split(',')
s.split(', ', 1)
'a,b,c'.split(',', 1)
'a,b,c'.rsplit(',', 1)
'a,b,c'.split(',', maxsplit=1)
'  a  b  '.split()
'  a  b  c '.split(none, 1)
'  a  b  c '.rsplit(none, 1)
' a b c '.rsplit()
''.split()
''.split(',')
'abc'.split('')
',a,,b,'.split(',')
'a</think>b</think>c'.split('</think>')[-1]
ml.splitlines()
ml.splitlines(true)
s.startswith('Hell')
s.startswith('x')
s.startswith(('x', 'H'))
s.startswith(['x', 'H'])
s.startswith('World', 7)
s.startswith('', 50)
s.endswith('World')
s.endswith(('a', 'd'))
s.endswith('ello', 0, 5)
s.replace('l', 'L')
s.replace('l', 'L', 1)
s.replace('', '-')
s.replace('', '-', 3)
s|replace('l', 'L')
s|replace('l', 'L', 1)
s|replace('l')
n|replace('7', '8')
s.find('o')
s.find('o', 5)
s.find('zz')
s.rfind('o')
s.index('W')
s.index('zz')
u.find('日')
s.count('l')
s.count('')
'abab'.count('ab')
'-'.join(ys)
'-'.join(xs)
', '.join([])
'-'.join('abc')
'a-b-c'.partition('-')
'a-b-c'.rpartition('-')
'abc'.partition('x')
'abc'.removeprefix('a')
'abc'.removesuffix('c')
'abc'.removesuffix('x')
'123'.isdigit()
'12a'.isdigit()
''.isdigit()
'²'.isdigit()
'²'.isdecimal()
'½'.isnumeric()
'abc'.isalpha()
'日本'.isalpha()
'ab1'.isalnum()
' \t'.isspace()
''.isspace()
'ABC'.isupper()
'AB1'.isupper()
'aB'.islower()
'Abc Def'.istitle()
'abc'.isascii()
'é'.isascii()
'7'.zfill(3)
'-7'.zfill(4)
'a'.ljust(3) ~ '|'
'a'.rjust(3, '.')
'a'.center(4, '*')
'ab'.center(5, '*')
'a'.center(4)|length
'{} and {}'.format(1, 'x')
'{0}{1}{0}'.format('a', 'b')
'{x} {y:>5}|{y:<5}|{y:^5}|{y:*^7}'.format(x=1, y='ab')
'{:.2f} {:5d} {:05d} {:+d} {:,} {:x} {:#x} {:b} {:e} {:%} {:g}'.format(3.14159, 42, 42, 42, 1234567, 255, 255, 5, 12345.678, 0.25, 0.0001)
'{:5}|{:>5}|{:.2}'.format(True, 1.5, 'abc')
'{0.name} {0[age]}'.format(people[0])
'{{}} {}'.format(1)
'{} {}'.format(1)
'{a.b}'.format(a=d)
'{!r} {!s}'.format('x', 'x')
'%s and %d and %.2f and %5s|%-5s|%05d|%+d|%x|%%|%r' % ('a', 3, 2.5, 'r', 'l', 42, 7, 255, 'q')
'%s' % 5
'%s' % ('a',)
'%s %s' % ('a',)
'%s' % ('a', 'b')
'%(a)s-%(b)d' % d
'%s' % xs
'%d' % 'a'
'%s-%s'|format(1, 2)
'%(x)s'|format(x=4)
'%s'|format(nil)
s|length
xs|length
d|length
n|length
nil|length
s|upper
s|lower
n|string
n|string ~ 'x'
f|string
nil|string
xs|string
s|list
d|list
xs|list
n|list
xs|first
xs|last
empty|first
empty|last
s|first
s|last
d|first
xs|reverse|list
s|reverse
xs|reverse|first
xs|join
xs|join(', ')
mixed|join('|')
people|join(', ', attribute='name')
empty|join(',')
n|join
xs|sort
xs|sort(reverse=true)
ys|sort
ys|sort(case_sensitive=true)
ys|sort(true)
mixed|sort
people|sort(attribute='name')|map(attribute='name')|list
people|sort(attribute='age,name')|map(attribute='name')|list
people|sort(attribute='age', reverse=true)|map(attribute='name')|list
d|dictsort
{'B': 1, 'a': 2}|dictsort
{'B': 1, 'a': 2}|dictsort(true)
{'B': 1, 'a': 2}|dictsort(by='value', reverse=true)
{'B': 1, 'a': 2}|dictsort(false, 'value')
d|items|list
missing|items|list
n|items|list
['a', 'A', 'b', 'a']|unique|list
['a', 'A', 'b', 'a']|unique(true)|list
people|unique(attribute='age')|map(attribute='name')|list
[[1], [1]]|unique|list
xs|min
xs|max
ys|min
ys|max(case_sensitive=true)
people|max(attribute='age')
empty|max
xs|sum
people|sum(attribute='age')
people|sum('age', 10)
ys|sum
[0.1, 0.2, 0.3]|sum
[[1], [2]]|sum(start=[])
people|map(attribute='name')|list
people|map(attribute='zz')|list
people|map(attribute='zz', default='-')|list
people|map(attribute='tags.0', default='none')|list
people|map('length')|list
ys|map('upper')|list
ys|map('replace', 'a', 'x')|list
xs|map('string')|join('+')
xs|map('nofilter')|list
nested|map(attribute=0)|list
nested|map('first')|list
xs|select('odd')|list
xs|select('gt', 1)|list
xs|select('greaterthan', 1)|list
mixed|select|list
mixed|reject|list
xs|reject('equalto', 1)|list
mixed|select('string')|list
mixed|reject('none')|list
xs|select('in', [1, 2])|list
people|selectattr('extra')|list
none|selectattr('a')|list
none|map('no such filter')|list
0|select('odd')|list
false|rejectattr('a', 'no such test')|list
none|reject|list
people|selectattr('extra', 'defined')|map(attribute='name')|list
people|rejectattr('extra', 'defined')|map(attribute='name')|list
people|selectattr('age', 'equalto', 30)|map(attribute='name')|list
people|selectattr('age', '==', 30)|list|length
people|selectattr('age', '>=', 30)|list|length
people|rejectattr('name', 'in', ['Ann'])|map(attribute='name')|join(',')
people|selectattr('name', 'eq', 'Ann')|first
people|groupby('age')|list|length
people|groupby('age')|map(attribute=0)|list
[1,2,3,4,5]|batch(2)|list
[1,2,3,4,5]|batch(2, 'x')|list
[1,2,3,4,5]|slice(3)|list
[1,2,3,4,5]|slice(3, 'x')|list
5|slice(2)|list
'42'|int
'42.7'|int
'x'|int
'x'|int(5)
'x'|int(default=none)
'0x1f'|int(base=16)
'ff'|int(0, 16)
'0b11'|int(base=0)
' 12 '|int
'1_000'|int
'1__0'|int
'1e3'|int
3.9|int
-3.9|int
nil|int
missing|int
true|int
xs|int
'3.5'|float
'x'|float
'x'|float(1.5)
'inf'|float
'nan'|float
'1e5'|float
'.5'|float
'5.'|float
nil|float
n|float
-5|abs
-2.5|abs
's'|abs
2.5|round
3.5|round
2.675|round(2)
-2.5|round
1234.5|round(-2)
42|round
42|round(2)
1250|round(-2)
1350|round(-2)
-1250|round(-2)
2.1|round(method='ceil')
2.9|round(0, 'floor')
2.1234|round(2, 'ceil')
2|round(method='ceil')
2.5|round(method='x')
0.5|round|int
1e300|round(2)
ml|indent
ml|indent(2)
ml|indent(2, true)
ml|indent(2, first=true, blank=true)
ml|indent('> ')
''|indent
'abc'|indent(2, true)
'a'|center(5) ~ '|'
('a b c d e f g ' * 5)|truncate(20)
('a b c d e f g ' * 5)|truncate(20, true)
('a b c d e f g ' * 5)|truncate(20, false, '!', 0)
'short'|truncate(20)
'foo bar baz'|wordcount
u|wordcount
'a b/c&d=é'|urlencode
'<a href="x">&\'</a>'|escape
'<b>'|e
'<b>'|safe
n|safe
d|tojson
people|tojson
people|tojson(indent=2)
nested|tojson(indent=4)
empty|tojson(indent=2)
ed|tojson(indent=2)
u|tojson
u|tojson(ensure_ascii=true)
q|tojson
'a\nb\t\r\x08\x0c\x01\x1f\x7f/\\'|tojson
mixed|tojson
f|tojson
big|tojson
tiny|tojson
nil|tojson
t|tojson
(1, 2)|tojson
{1: 'a', none: 2, true: 3, 2.5: 4}|tojson
d|tojson(sort_keys=true)
d|tojson(separators=(',', ':'))
d|tojson(indent=2, separators=(' , ', ' : '))
missing|tojson
range(3)|tojson
d.items()|tojson
d.items()|list|tojson
people|tojson|length
xs|tojson(indent='--')
xs|tojson(indent=0)
range(5)|list
range(1, 4)|list
range(10, 0, -3)|list
range(3)
range(0, 10, 2)
range(3)[1]
range(3)[-1]
range(3)|last
2 in range(3)
range(0)|list
range(1, 2, 0)|list
range(200000)|length
range('a')
range(2.5)
dict(a=1, b=2)
dict([('a', 1)])
dict({'a': 1}, b=2)
namespace(a=1).a
namespace(a=1)['a']
namespace({'a': 2}).a
namespace(a=1).zz
namespace(a=1).zz is defined
namespace() is defined
n is number
f is number
t is number
s is number
n is integer
t is integer
f is float
n is float
t is boolean
n is boolean
t is true
n is true
1 is true
no is false
s is string
n is string
xs is iterable
s is iterable
n is iterable
d is iterable
xs is sequence
d is sequence
s is sequence
n is sequence
missing is sequence
missing is iterable
d.items() is sequence
d.keys() is iterable
range(3) is sequence
d is mapping
xs is mapping
range is callable
s.upper is callable
s is callable
missing is callable
4 is even
3 is odd
4 is odd
-3 is odd
f is even
's' is even
6 is divisibleby 3
6 is divisibleby(4)
n is eq 7
n is equalto 7
n is ne 7
n is lt 8
n is gt 8
n is ge 7
n is le(6)
n is sameas 7
nil is sameas none
t is sameas true
1 is sameas true
n is in xs
1 is in [1]
'abc' is lower
'ABC' is upper
'123' is lower
n is not string
n is nosuch
'upper' is filter
'nosuch' is filter
'defined' is test
s is escaped
n is defined and n > 5
n is string or n is number
not n is string
n is not none and n
d.a|int + 1
-5|abs + 1
-n|abs
(n|string)[0]
n|string|length
s|replace('l', '')|upper
[1, 2, 3][1:][0]
{'a': 1}['a']
{'a': 1}.a
(1, 2)[0]
'abc'[1]
[1, 2]|first|string ~ 'x'
xs|map('int')|sum
xs|nosuch
s.upper
xs.append(1)
d.update({'a': 1})
d.pop('a')
xs.append is defined
xs.index(1)
xs.index(9)
xs.count(1)
xs.copy()
d.copy()
(1, 2).index(2)
s.__class__
n.__class__.__mro__
''.join(['a', 'b'])
d|attr('a')
d|attr('get') is defined
namespace(q=1)|attr('q')
cycler('a', 'b').next()
cycler('a', 'b').current
joiner(', ')()
1 is defined if t else 2
1if t else 2
1 if t
[1, 2,]
{'a': 1,}
(1, 2,)
s.strip().split(', ')[0].lower()
'a' ~ 1 + 2
1 + 2 ~ 'a'
'a' ~ 2 * 3
5 - 2 - 1
100 // 7 % 4
2 * 3 ** 2
1 - -1
- - 1
+1
+t
-t
-s
not not n
n == 7 and f == 2.5
n if n else f if f else s
'yes' if n > 5 and s else 'no'
{'a': n, s: f}
[n, [f, [s]]]
n in (7, 8)
s in ('Hello, World', 'x')
'%05.1f|%5.3s|%-6d|%c' % (3.14159, 'abcdef', 42, 'x')
'%i' % 3.9
'%.3d' % 5
'%#x' % 255
'%e' % 12345.678
'%g' % 0.00001
'%s' % d
'%s' % missing
'a' % 1
'a' % {}
1e400
-1e400
[1e400]
1 / 0
1 // 0
1 % 0
1.0 / 0
0 ** -1
range(4)[1:3]
range(10)[::-2]
s.strip(chars='H')
2 ** 0.5
9223372036854775807
-9223372036854775807 - 1
7 // -2
-7 // 2
-7 % 3
7 % -3
7.5 // 2
-7.5 // 2
7.5 % -2
1e308 * 10
3.0 == 3
3.0 in [3]
1 < 1.5
9007199254740993 == 9007199254740992.0
'a' < 1
nil < 1
[1] < ['a']
none < none
{} < {}
t < 2
(1, 2) < (1, 2, 3)
'Z' < 'a'
'é' < 'z'
s.split(sep=', ')
s.split(nosuch=1)
s.upper(1)
s|upper(1)
s|trim(1)
s|default
s|int|default(3)
*xs
range(*[1, 3])|list
dict(**{'a': 1})
strftime_now('%Y-%m-%d')
strftime_now('%d %b %Y')
strftime_now('%A, %B %d')
raise_exception('stop here')
s|
s.
(1
[1
{'a' 1}
{'a': }
1 +
a b
1 2
'unterminated
{{ 1 }}
n is
n is not
n|
not
if
""".strip("\n").split("\n")

# (name, template); all see VARIABLES.
STATEMENTS = [
    "a\n{% if t %}\nb\n{% endif %}\nc\n",
    "a\n  {% if t %}\n  b\n  {% endif %}\nc",
    "a\n  {%- if t %}\n  b\n  {%- endif %}\nc",
    "a\n  {%- if t -%}\n  b\n  {%- endif -%}\nc",
    "a {%+ if t %} b {%+ endif +%}\n c",
    "  {%+ if t +%}\n b\n  {%+ endif %}\n c",
    "{{ 1 }}\n{{ 2 -}}\n\n  {{- 3 }}  {{ 4 }}",
    "   {{ n }}   \n  {{ n }}\n",
    "a\n  {# comment #}\nb\n{#- x -#}\n c {# multi\nline #} d",
    "a {#+ x +#}\nb {#-#} c",
    "{% raw %}{{ not }} {% if %}{% endraw %}\n x",
    " {%- raw -%}  {{ a }}  {%- endraw -%}  y",
    "{%raw%}\n  z\n  {%endraw%}\n w",
    "line\r\nother\rlast\n\n",
    "\n\n{% set a = 1 %}\n\n{{ a }}\n\n",
    "\t{% set a = 1 %}\t\n{{ a }}",
    "x{% set a = 1 %}\ny{{ a }}",
    "x   {% set a = 1 %}   y",
    "{% for x in xs %}{{ x }}{% if not loop.last %}, {% endif %}{% endfor %}",
    "{% for x in xs %}\n{{ loop.index }}/{{ loop.length }} {{ loop.index0 }} {{ loop.revindex }} {{ loop.revindex0 }} {{ loop.first }} {{ loop.last }}\n{% endfor %}",
    "{% for x in xs %}{{ loop.previtem }}<{{ x }}>{{ loop.nextitem }};{% endfor %}",
    "{% for x in xs %}{{ loop.previtem is defined }}{{ loop.nextitem|default('end') }} {% endfor %}",
    "{% for x in xs %}{{ loop.cycle('odd', 'even') }} {% endfor %}",
    "{% for x in [1, 1, 2, 2, 1] %}{{ loop.changed(x) }} {% endfor %}",
    "{% for x in empty %}x{% else %}none{% endfor %}",
    "{% for x in missing %}x{% else %}none{% endfor %}",
    "{% for x in nil %}x{% endfor %}",
    "{% for x in n %}x{% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k, v in d|dictsort %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in d %}{{ k }};{% endfor %}",
    "{% for c in u %}{{ c }}.{% endfor %}",
    "{% for (a, b), c in [((1, 2), 3)] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for a, b in xs %}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{% endfor %}",
    "{% for x in xs if x > 1 %}{{ loop.index }}:{{ x }} {% endfor %}",
    "{% for x in xs if x > 5 %}{{ x }}{% else %}nothing{% endfor %}",
    "{% for x in range(10) %}{% if x == 2 %}{% continue %}{% endif %}{% if x == 5 %}{% break %}{% endif %}{{ x }}{% endfor %}",
    "{% for x in xs %}{% for y in xs %}{% if y == 1 %}{% break %}{% endif %}{{ x }}{{ y }} {% endfor %}{% endfor %}",
    "{% for x in xs %}{% set y = x %}{% endfor %}{{ y }}",
    "{% set y = 0 %}{% for x in xs %}{% set y = y + x %}{{ y }} {% endfor %}{{ y }}",
    "{% set ns = namespace(y=0, l=[]) %}{% for x in xs %}{% set ns.y = ns.y + x %}{% set ns.l = ns.l + [x] %}{% endfor %}{{ ns.y }} {{ ns.l }} {{ ns }}",
    "{% set d2.x = 1 %}",
    "{% set d.x = 1 %}",
    "{% set a, b = 1, 2 %}{{ b }}{{ a }}",
    "{% set a, b = [3, 4] %}{{ b }}{{ a }}",
    "{% set (a, b) = 'xy' %}{{ b }}{{ a }}",
    "{% set a, b = 1 %}",
    "{% set t2 = 1, 2 %}{{ t2 }}",
    "{% set x %}body {{ n }}{% endset %}[{{ x }}]",
    "{% set x | upper | trim %}  body {{ n }}  {% endset %}[{{ x }}]",
    "{% set x %}{% set inner = 5 %}{{ inner }}{% endset %}{{ x }}{{ inner }}",
    "{% if no %}a{% elif n == 7 %}b{% elif t %}c{% else %}d{% endif %}",
    "{% if no %}a{% elif no %}b{% else %}d{% endif %}",
    "{% if missing %}a{% endif %}b",
    "{% if t %}{% set v = 1 %}{% endif %}{{ v }}",
    "{% if no %}{% set v = 1 %}{% endif %}{{ v }}|{{ v is defined }}",
    "{% if no %}{% set n = 1 %}{% endif %}{{ n }}",
    "{% for x in xs %}{% if x == 1 %}{% set n = 100 %}{% endif %}{{ n }} {% endfor %}{{ n }}",
    "{% macro m(a, b=2, c='x') %}[{{ a }},{{ b }},{{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(c=5, a=4) }}{{ m() }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(b=2) }}",
    "{% macro m(a) %}{{ a }}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, 3, z=4) }}",
    "{% macro m(a, b=a) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}",
    "{% macro f(k) %}{% if k > 0 %}{{ k }}{{ f(k - 1) }}{% endif %}{% endmacro %}{{ f(5) }}",
    "{% macro m() %}{{ q2 }}{% endmacro %}{% set q2 = 3 %}{{ m() }}",
    "{% set q2 = 3 %}{% macro m() %}{{ q2 }}{% set q2 = 4 %}{{ q2 }}{% endmacro %}{{ m() }}{{ q2 }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}in {{ n }}{% endcall %}",
    "{% macro m() %}<{{ caller(1, 2) }}>{% endmacro %}{% call(a, b) m() %}{{ a }}+{{ b }}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}in{% endcall %}",
    "{% macro m() %}  x  {% endmacro %}{{ m()|trim }}|{{ m()|length }}|{{ m() is string }}",
    "{% macro m() %}{% endmacro %}{{ m }}",
    "{% filter upper %}a{{ s }}{% endfilter %}",
    "{% filter replace('a', 'b') | upper %}banana{% endfilter %}",
    "{% with a = 1, b = n %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set a = 2 %}{{ a }}{% endwith %}{{ a }}",
    "{% generation %}{{ n }}{% set g = 1 %}{% endgeneration %}{{ g }}",
    "x\n  {% generation %}\n  y\n  {% endgeneration %}\nz",
    "{% set it = joiner(', ') %}{% for x in xs %}{{ it() }}{{ x }}{% endfor %}",
    "{% set c = cycler('a', 'b') %}{% for x in xs %}{{ c.next() }}{% endfor %}{{ c.current }}",
    "{{ '{{' }} {{ '%}' }} {{ \"}}\" }}",
    "{{ {'a': {'b': 1}} }}{{ {'a':{'b':1}}['a']['b'] }}",
    "{{ [1, 2\n, 3] }}{%\nset\nx\n=\n1\n%}{{ x }}",
    "{{-1}}{{- 1 -}} {{ -1 }}",
    "{% set x = 1 -%}\n\n  {{ x }}",
    "{%- set x = 1 %}  {{ x }}  {%- set y = 2 -%}  {{ y }}",
    "{{ raise_exception('no ' ~ n) }}",
    "{% if n > 5 %}{{ raise_exception('too large') }}{% endif %}",
    "{% for x in xs %}{{ loop }}{% endfor %}",
    "{% endif %}", "{% if t %}", "{% for %}{% endfor %}", "{% for x xs %}{% endfor %}", "{% else %}", "{% nosuch %}", "{% break %}",
    "{% if t %}{% endfor %}", "{{ n", "{% if t", "{# x", "{% raw %}x", "{% set %}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% macro %}{% endmacro %}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{{ n }", "{{ n ]}}", "{{ }}", "{% %}", "{% call n %}{% endcall %}",
    "{{ 'a'.join(['x', 'y']) }}{{ ''.join(xs|map('string')) }}",
    "{% for m in people %}{{ m['name'] + ': ' + m['age']|string + '\\n' }}{% endfor %}",
    "{% for m in people if m.age == 30 %}{% if loop.first %}F{% endif %}{{ m.name }}{% if loop.last %}L{% endif %}{% endfor %}",
    "{% set l = people[1:] %}{% for m in l[::-1] %}{{ m.name }}{% endfor %}",
    "{% set first, rest = people[0], people[1:] %}{{ first.name }} {{ rest|length }}",
    "{% for x in people|map(attribute='name') %}{{ loop.index }}/{{ loop.length }}{{ x }} {% endfor %}",
    "{% set g = ys|map('upper') %}{{ g|list }}{{ g|list }}",
    "{{ ys|map('upper')|length }}",
]
