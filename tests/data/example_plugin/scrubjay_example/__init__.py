"""A plugin with one of everything: a tool, a source, a model, an embedder, an exporter, a theme."""

from engine.plugins import Exporter, Plugin
from scrubjay_example.embedder import Vowels
from scrubjay_example.exporter import pieces
from scrubjay_example.model import Parrot
from scrubjay_example.source import Proverbs
from scrubjay_example.tool import roll_dice

plugin = Plugin(
    api=1,
    tools=(roll_dice,),
    sources=(Proverbs(),),
    backends=(Parrot,),
    embedders=(Vowels(),),
    exporters=(Exporter(name="org", ending="org", pieces=pieces),),
    themes={"example-dusk": {"primary": "#c08a3e", "background": "#201410", "dark": True}},
)
