"""Renders chat templates with Python's jinja2, set up as Hugging Face transformers sets it up, into templates.json.

    pip install jinja2 gguf
    python make_templates.py SMOLLM2.gguf TINYLLAMA.gguf MINIMIND2.gguf PHI3-VOCABULARY.gguf > templates.json

The four templates are read from the files' `tokenizer.chat_template`; the others below exercise single features.
"""

import datetime
import json
import sys

import jinja2
import jinja2.ext
import jinja2.sandbox
from gguf import GGUFReader

NOW_MILLIS = 1_709_210_096_789  # 2024-02-29 12:34:56.789 UTC, a leap day


class Generation(jinja2.ext.Extension):
    """`{% generation %}`, which transformers adds so that training can find the assistant's words."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_same"), [], [], body).set_lineno(line)

    @staticmethod
    def _same(caller):
        return caller()


class Refused(Exception):
    pass


def environment():
    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def raise_exception(message):
        raise Refused(message)

    now = datetime.datetime.fromtimestamp(NOW_MILLIS / 1000, datetime.timezone.utc)
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = now.strftime
    return env


USER = {"role": "user", "content": "Why is the sky blue?"}
SYSTEM = {"role": "system", "content": "Answer briefly."}
ANSWER = {"role": "assistant", "content": "Because air scatters blue light."}
ODD = {"role": "user", "content": "  spaces, <b>markup</b> & \"quotes\"\n\tline\u2028\u00e9\U0001f600\n\n"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "weather", "arguments": {"city": "Z\u00fcrich <b>", "days": 3, "b": 1.0, "a": None}},
        },
        {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": {}}},
    ],
}
CALL_WITH_TEXT = dict(CALL, content="Let me look.")
RESULT = {"role": "tool", "content": '{"sky": "clear", "high": 21.5}', "tool_call_id": "call_1"}
RESULT_2 = {"role": "tool", "content": "noon", "tool_call_id": "call_2"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather's forecast, in <b>\u00b0C</b> & 'words'",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1, "maximum": 1e16}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    },
    {"type": "function", "function": {"name": "time", "parameters": {"z": 0.1, "y": -1e-7, "x": 123456789012, "w": []}}},
]

CONVERSATIONS = {
    "one question": ([USER], None),
    "system and turns": ([SYSTEM, USER, ANSWER, {"role": "user", "content": "And at dusk?"}], None),
    "odd characters": ([ODD], None),
    "empty content": ([{"role": "user", "content": ""}], None),
    "developer": ([{"role": "system", "content": "Speak as a pirate."}, USER], None),
    "named user": ([dict(USER, name="Ada")], None),
}
TOOL_CONVERSATIONS = {
    "tools offered": ([SYSTEM, USER], TOOLS),
    "tool called": ([USER, CALL, RESULT, RESULT_2], TOOLS),
    "tool called with text": ([USER, CALL_WITH_TEXT, RESULT, RESULT_2, ANSWER, USER], TOOLS),
    "tool called, none offered": ([USER, CALL, RESULT, RESULT_2], None),
}

FEATURES = {
    "tojson layouts": "{{ tools | tojson }}\n{{ tools | tojson(indent=2) }}\n{{ tools | tojson(indent=4, sort_keys=true) }}"
    "\n{{ tools[0] | tojson(separators=(',', ':'), ensure_ascii=true) }}{{ [] | tojson(indent=1) }}{{ {} | tojson }}",
    "printed values": "{{ true }} {{ none }} {{ 1.0 }} {{ 3 }} {{ [1, 'a', true, none] }} {{ tools[0].type }} {{ missing }}|",
    "dates": "{{ strftime_now('%Y-%m-%d %H:%M:%S %d %b %Y %A %B %j %y %I %p %a') }}",
    "trimming": "{% for m in messages %}\n    {% if m.role == 'user' %}\n        {{ m.content | trim }}\n    {% endif %}\n{% endfor %}\n\nend\n",
    "namespace and slices": "{% set ns = namespace(n=0, last='') %}{% for m in messages[1:] %}{% set ns.n = ns.n + 1 %}"
    "{% set ns.last = m.content %}{% endfor %}{{ ns.n }} {{ ns.last }} {{ messages[::-1][0].role }} {{ messages[-1].content[:4] }}",
    "macros and calls": "{% macro turn(m, i=0) %}<{{ i }}:{{ m['role'] }}>{{ m.get('content') }}{% endmacro %}"
    "{% for m in messages %}{{ turn(m, loop.index) }}{{ '' if loop.last else '|' }}{% endfor %}",
    "string methods": "{{ messages[0].content.split(' ')[-1] }} {{ messages[0].content.startswith('Why') }} "
    "{{ messages[0].content.replace('sky', 'sea').upper() }} {{ '  x '.strip() }} {{ 'a,b'.split(',') | join('+') }} "
    "{{ messages[0].content.rstrip('?') }} {{ 'x'.lstrip('x') }} {{ messages[0].content | length }} {{ 'abc' | capitalize }}",
    "loop controls": "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}{{ m.content }}{% break %}{% endfor %}",
    "filters": "{{ messages | map(attribute='role') | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }} "
    "{{ messages | rejectattr('role', 'equalto', 'user') | map(attribute='content') | list }} {{ missing | default('d') }} "
    "{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in {'b': 1, 'a': 2} | dictsort %}{{ k }}{{ v }}{% endfor %}",
    "tests": "{{ messages is iterable }} {{ messages[0] is mapping }} {{ messages[0].content is string }} {{ tools is none }} "
    "{{ tools is defined }} {{ x is not defined }} {{ 'role' in messages[0] }} {{ messages[0].name is defined }} {{ 3 is number }}",
    "generation tag": "{% for m in messages %}{%- if m.role == 'assistant' -%}\n{% generation %}{{ m.content }}{% endgeneration %}\n{%- else -%}{{ m.content }}{% endif %}{% endfor %}",
    "special tokens": "{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}{{ '' if add_generation_prompt else 'x' }}",
    "refusal": "{% if messages[0].role != 'system' %}{{ raise_exception('The first message must be from the system') }}{% endif %}ok",
}


def case(env, name, template, bos, eos, conversation, tools):
    entry = {"name": name, "template": template, "bos": bos, "eos": eos, "now": NOW_MILLIS}
    entry.update({"messages": conversation, "tools": tools})
    try:
        entry["text"] = env.from_string(template).render(
            messages=conversation,
            tools=tools,
            documents=None,
            add_generation_prompt=True,
            bos_token=bos,
            eos_token=eos,
        )
    except Refused as refusal:
        entry["refused"] = str(refusal)
    return entry


def main():
    env = environment()
    cases = []
    for path in sys.argv[1:]:
        fields = GGUFReader(path).fields
        template = fields["tokenizer.chat_template"].contents()
        tokens = fields["tokenizer.ggml.tokens"]
        bos, eos = (
            tokens.contents(int(fields[f"tokenizer.ggml.{which}_token_id"].contents())) for which in ("bos", "eos")
        )
        name = fields["general.name"].contents()
        conversations = dict(CONVERSATIONS, **(TOOL_CONVERSATIONS if "tools" in template else {}))
        for what, (conversation, tools) in conversations.items():
            cases.append(case(env, f"{name}: {what}", template, bos, eos, conversation, tools))
    for what, template in FEATURES.items():
        for conversation in ([SYSTEM, USER, ANSWER], [USER, ANSWER]):
            cases.append(case(env, f"feature: {what}", template, "<s>", "</s>", conversation, TOOLS))
    # Equal templates are written once.
    templates = sorted({entry["template"] for entry in cases})
    for entry in cases:
        entry["template"] = templates.index(entry["template"])
    document = {"made_with": f"jinja2 {jinja2.__version__}, make_templates.py", "templates": templates, "cases": cases}
    json.dump(document, sys.stdout, ensure_ascii=True, indent=1)
    print()


main()
