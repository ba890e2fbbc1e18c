"""Common English words: what is spelt like them is not gibberish, and none of them is a typo."""

_WORDS = """
a able about above accept access according account across act action activity actually
add address after afternoon again against age ago agree ahead air airport alarm album
all allow almost alone along already also although always am amount an and animal
another answer any anybody anyone anything anyway apart app apple apply appointment
april are area aren't arm around arrive art article as ask at august aunt available
average away awesome baby back bad bag balance ball band bank bar base bath be beach
bear beat beautiful became because become bed been before began begin behind being
believe below best better between big bill bird birthday bit black block blood blue
board boat body book booking born both bottle bottom bought box boy brand bread break
breakfast bridge bright bring broke broken brother brought brown budget build building
built burn bus business busy but buy by cake call called came camera can can't cancel
cannot car card care carry case cash cat catch cause cell center cents certain chair
chance change channel charge charged cheap check cheese chicken child children choose
city class clean clear click climb clock close clothes cloud club coach coat code coffee
cold college color come company compare complete computer contact continue control cook
cool copy corner correct cost could couldn't count country couple course court cover
crazy cream create credit cross cup current customer cut dad daily dance dark data date
daughter day dead deal dear death debit december decide deep degree deliver delivery
deposit describe desk detail did didn't die different difficult dinner direct direction
dirty discount dish do doctor does doesn't dog doing dollar dollars don't done door
double doubt down download draw dream dress drink drive driver drop dry due during each
ear early earn earth east easy eat egg eight either electric else email empty end
english enjoy enough enter entire error especially euro even evening event ever every
everybody everyone everything exact exactly example except exchange excited excuse
expect expensive explain extra eye face fact fail fall false family famous far farm fast
father favorite fear february fee feed feel feet fell felt female few field fifty fight
figure file fill film final finally find fine finger finish fire first fish fit five fix
flight floor flower fly follow food foot for foreign forget form forward found four free
freeze fresh friday friend friends from front fruit full fun funny future game garden
gas gave general get gift girl give given glad glass go god goes going gold gone good
got grade grandma great green grew ground group grow guess guy had hadn't hair half hall
hand happen happened happy hard has hasn't hate have haven't having he head health hear
heard heart heat heavy held hello help her here hers herself hey hi high hill him
himself his history hit hold holiday home hope horse hospital hot hotel hour hours house
how however huge human hundred hungry hurry hurt husband i i'd i'll i'm i've ice idea if
image important in include income increase india information inside instead insurance
interest international internet into invite is island isn't issue it it's item its
itself january job join joke july jump june just keep kept key kid kids kill kind king
kitchen knew know known lady lake land language large last late later laugh law lay lead
learn least leave led left leg less let let's letter level library life lift light like
likely limit line link list listen little live living local lock long look lose loss
lost lot lots loud love low luck lunch machine made mail main make male man manage many
map march mark market married master match matter may maybe me meal mean means measure
meat medical meet meeting member memory men message met middle might mile miles milk
million mind mine minute minutes miss mistake mix mobile modern mom moment monday money
month months moon more morning most mother mouth move movie mr mrs much music must my
myself name national near nearby nearest neck need needs network never new news next
nice night nine no nobody none noon normal north nose not note nothing notice november
now number object october of off offer office often oh oil ok okay old on once one
online only open operate option or orange order ordered original other our out outside
over own page paid pain paint pair paper parent park part party pass password past pay
paying payment pen people per perfect perhaps period person phone photo pick picture
piece place plan plane plant play player playlist please plus point police pool poor
popular position possible post pound power practice present president press pretty price
print private probably problem process produce product program promise proper provide
public pull purchase push put quality question quick quickly quiet quite race radio rain
raise ran rate rather reach read ready real really reason receive received recipe
recommend record red refund register regular relax remember remind reminder remove rent
repair repeat reply report request reservation reserve reset rest restaurant result
return review rich ride right ring rise river road rock room round rule run safe said
salary sale salt same sand sat saturday save saw say school science score screen sea
search season seat second secret secure see seem seen sell send sense sent september
serious serve service set seven several shall shape share she ship shirt shoe shop
shopping short should show shut sick side sign similar simple since sing sister sit site
six size skin sleep slow small smart smile snow so social some somebody someone
something sometimes son song soon sorry sort sound soup south space speak special speed
spell spend spent sport spring stand star start started state station statement stay
step still stock stone stop store story straight strange street strong student study
stuff such sugar suggest summer sun sunday super supply support sure surprise sweet swim
switch system table take taken taking talk tax taxi tea teach team tell temperature ten
test text than thank thanks that that's the their them then there there's these they
they're thing things think third this those though thought three through throw thursday
ticket time timer times tip tire tired to today together told tomorrow tonight too took
top total touch toward town track traffic train transaction transfer translate travel
tree trip trouble true try trying tuesday turn tv twelve twenty twice two type uncle
under understand until up update upon us use used user usual usually vacation value very
video view visit voice wait walk wall want wanted war warm was wash wasn't watch water
way we weather website wednesday week weekend weeks weight welcome well went were
weren't west what what's when where where's which while white who who's whole whose why
wife wild will win wind window winter wish with withdraw without woman women won't
wonder wood word words work working world worry worst worth would wouldn't write wrong
wrote yard yeah year years yellow yes yesterday yet you you'd you'll you're you've young
your yours yourself zero
"""

COMMON = frozenset(_WORDS.split())
