"""Words of general English that stand for each other, and words that name the kinds of a thing.

A question says "pet" where the answer says "cat". `KINDS` leads from the word for a kind to words
for what is of that kind; `ALIKE` holds groups in which each word may stand for the others.
"""

from __future__ import annotations

from functools import cache

from engine.memory.words import stem

KINDS = """
activity hobby pastime interest fun leisure: hike camp paint draw swim run yoga cook bake read
  write dance sing garden fish cycle climb ski surf sew knit game sport music photography hiking
  travel chess pottery craft museum picnic puzzle bowling skating volunteer workout
allergy: allergic allergies nuts peanut pollen dairy gluten lactose
animal pet: dog cat puppy pup kitten turtle tortoise rabbit bunny hamster parrot bird fish horse
  snake lizard guinea pig bear wolf deer elephant squirrel duck chicken goat cow sheep frog
appliance: oven fridge refrigerator dishwasher microwave blender toaster kettle washer dryer
  vacuum
art artwork craft: paint painting drawing sketch sculpture pottery mural portrait landscape
  watercolor canvas abstract ceramic clay knit collage
award achievement accomplishment success: win prize medal trophy finish publish graduate promotion
  champion first title milestone congratulations
beverage drink: coffee tea water juice beer wine soda milk smoothie cocktail lemonade cider
body injury hurt health medical condition: knee ankle back arm leg shoulder wrist head foot sprain
  break pain ache surgery doctor hospital sick ill therapy diabetes asthma heart blood pressure
book novel reading literature: read author story series chapter fantasy fiction memoir biography
  mystery trilogy library bookshelf poem
business company venture startup: shop store studio brand customer client startup launch owner
  entrepreneur product market investor
celebrate celebration event occasion party: birthday wedding anniversary holiday festival parade
  concert party graduation reunion fair gala ceremony picnic christmas thanksgiving easter
  halloween conference workshop show exhibition fundraiser tournament race marathon competition
  meeting
child: son daughter baby boy girl toddler teen infant
city town place: paris london rome berlin madrid barcelona tokyo york chicago boston seattle
  francisco angeles miami denver portland vienna prague amsterdam dublin lisbon toronto sydney
  downtown capital village
class course lesson study education degree: learn school college university teacher student major
  exam certificate diploma workshop lecture tutor graduate training
clothes clothing outfit wear: shirt dress shoe jacket coat hat pants jeans skirt sweater hoodie
  boot sneaker scarf sock glove suit jersey
color: red blue green yellow purple orange pink black white brown gray grey gold silver teal
computer device gadget electronics tech technology: laptop phone tablet monitor keyboard mouse
  headphones console controller camera printer router watch pc
country nation abroad: france spain italy germany england britain scotland ireland portugal greece
  turkey sweden norway denmark finland poland austria switzerland netherlands belgium japan china
  india thailand vietnam korea indonesia australia zealand canada mexico brazil argentina peru
  chile egypt morocco kenya africa europe asia america iceland hungary croatia
dessert sweet treat snack: cake pie cookie ice cream chocolate tart brownie cupcake pudding pastry
  muffin donut candy mousse cheesecake sundae cobbler crumble frosting
destress relax unwind stress calm: yoga meditate read walk run music bath dance nature therapy
  breathe escape clear mind
diet food eat meal cuisine dish recipe cook: pizza pasta salad soup sandwich burger rice chicken
  fish beef steak sushi taco curry noodle bread cheese egg vegetable fruit vegan vegetarian stew
  breakfast lunch dinner supper restaurant roast grill bake cake sauce
europe european: france spain italy germany england portugal greece sweden norway poland austria
  switzerland netherlands belgium ireland scotland
exercise workout fitness sport training: run gym yoga swim weight cardio boxing kickboxing pilates
  cycle hike climb marathon tennis football basketball soccer baseball golf hockey volleyball
  rugby cricket skate surf ski judo karate martial stretch
family relative: mother father sister brother son daughter wife husband aunt uncle cousin grandma
  grandpa grandmother grandfather parent child nephew niece sibling
feeling emotion mood react: happy sad angry proud nervous anxious excited scared afraid lonely
  grateful thankful glad stressed overwhelmed relieved frustrated upset joy hope love
fear afraid scared phobia: height spider snake dark fly
flower plant garden: rose tulip lily daisy sunflower orchid tree seed herb tomato basil cactus
fruit: apple banana orange peach cherry strawberry blueberry raspberry grape mango lemon pear plum
furniture: chair table sofa couch desk bed lamp shelf bookshelf cabinet
game: chess video board card puzzle console nintendo playstation xbox rpg shooter strategy
  minecraft monopoly scrabble poker tournament
gift present: give necklace ring book card flower watch
goal plan dream future ambition aspiration resolution: want hope hopefully become start save learn
  aim wish someday
house home live residence: apartment flat condo move rent mortgage neighborhood room kitchen
  bedroom roommate landlord
instrument: guitar piano violin drum flute clarinet cello saxophone trumpet ukulele bass harp
  keyboard banjo
jewelry: necklace ring bracelet earring pendant
job career profession occupation work living: engineer teacher nurse doctor lawyer banker chef
  designer developer manager accountant counselor office boss colleague coworker company hire
  interview salary promotion quit intern position writer actor waiter mechanic police
language: english spanish french german italian portuguese chinese mandarin japanese korean arabic
  russian hindi dutch
season: spring summer autumn fall winter
media show series watch: movie tv episode season film documentary anime netflix
money finance financial: save spend budget cost pay debt loan salary price invest donate afford
  bank
movie genre: comedy drama action thriller horror romance fantasy fiction documentary animation
  watch actor trilogy director
music musician artist band: song concert album guitar piano sing singer jazz rock pop classical
  rap blues country folk metal playlist festival tune
nature outdoors outdoor: hike camp forest mountain lake river beach ocean park trail sunset tree
  waterfall hill garden wildlife
partner relationship marital status dating romantic: single married husband wife boyfriend
  girlfriend divorce breakup engaged fiance date wedding
pottery ceramic: bowl cup clay pot mug plate vase
religion faith religious spiritual: church god pray bible temple mosque christian catholic muslim
  jewish buddhist hindu
sibling: brother sister twin
symbol meaning symbolize: represent flag remind mean necklace cross
transport vehicle commute: car bus train bike bicycle motorcycle truck plane flight subway van
  scooter tram
travel trip vacation visit destination tour: fly flight hotel airport road beach country city
  abroad camp resort cruise passport tourist
volunteer charity cause community help: shelter donate homeless fundraiser food drive hospital
  awareness cleanup campaign veteran mentor nonprofit
weather: rain snow sun sunny storm wind hot cold cloudy
weapon: sword knife gun bow
writing write writer: book blog poem screenplay novel script journal article story essay poetry
"""

ALIKE = """
accident crash collision|adopt adoption|amaze awesome incredible great|apartment flat condo
argue argument fight quarrel|assist help support aid|aunt auntie|award prize trophy medal
baby newborn infant|begin start launch found open|big large huge|boss manager supervisor
buy purchase get pick order|car vehicle|cat kitten|cause reason|challenge difficult tough hard
church faith|clean tidy|close shut|colleague coworker workmate|color shade|competition contest
tournament championship|concert gig|cook make prepare bake|couch sofa|damage break crack ruin
dad pop|dance dancing|decide choose pick|die pass death lose funeral|doctor physician
dog puppy pup|dream goal|drive road|exhibit exhibition gallery museum|expert professional
fall autumn|famous popular|fear afraid scared|finish complete end|fire lay|fit exercise
forest woods|friend buddy pal|fun enjoy|gift present|girl daughter|glad happy|goal aim target
grow plant|gym workout|happy joy glad|hate dislike|hike trek trail|hobby pastime|home house
hurt injure injury pain|husband spouse partner|ill sick|important significant
inspire motivate influence encourage|job work|join sign enroll register|journal diary|kid child
lake pond|learn study|like love enjoy prefer favorite|live reside stay|lose lost
make create build craft|married wedding marry|meal dinner lunch supper|meet encounter|money cash
mom mama|movie cinema|name call|nervous anxious|new recent|organize host arrange hold
paint painting draw art|party celebration celebrate|photo camera snap|plan intend|plane flight fly
present show|promote advertise market|proud pride|quit resign leave|receive get given
recommend suggest suggestion advice recommendation|relax unwind calm destress
remember remind memory|rent lease|road street|school college university|sea ocean beach|see watch
shop store|show exhibition|shy quiet|sick ill|song tune|speech talk speak|start begin
stress pressure|student pupil|talk chat speak discuss|teacher tutor instructor|tell say mention
think believe opinion|tired exhausted|trip travel journey visit vacation|try attempt|upset sad
visit see go|walk stroll|wife spouse partner|win victory first|worry concern|woman lady
write author|game play
"""


def _stems(words: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(map(stem, words.split())))


@cache
def _related() -> dict[str, frozenset[str]]:
    related: dict[str, set[str]] = {}
    for line in KINDS.replace("\n  ", " ").strip().splitlines():
        heads, _, members = line.partition(":")
        for head in _stems(heads):
            related.setdefault(head, set()).update(_stems(heads), _stems(members))
    for group in ALIKE.strip().replace("\n", "|").split("|"):
        words = _stems(group)
        for word in words:
            related.setdefault(word, set()).update(words)
    return {word: frozenset(others - {word}) for word, others in related.items()}


def related(stemmed: str) -> frozenset[str]:
    """The stems that may stand for a stem, itself not among them."""
    return _related().get(stemmed, frozenset())
