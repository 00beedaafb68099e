"""Countries as people and shops write them: their names and codes, and their street lines.

Sources: ISO 3166-1 (codes), Unicode CLDR (names), Universal Postal Union (where the house number is written).
"""

import re
import unicodedata

# ISO 3166-1: every alpha-2 code followed by its alpha-3 code; and XK, which Odoo and the EU use for Kosovo. They also
# use XI, among the names below, for Northern Ireland, whose VAT on goods is the EU's.
_CODES = """
    ADAND AEARE AFAFG AGATG AIAIA ALALB AMARM AOAGO AQATA ARARG ASASM ATAUT AUAUS AWABW AXALA AZAZE
    BABIH BBBRB BDBGD BEBEL BFBFA BGBGR BHBHR BIBDI BJBEN BLBLM BMBMU BNBRN BOBOL BQBES BRBRA BSBHS
    BTBTN BVBVT BWBWA BYBLR BZBLZ CACAN CCCCK CDCOD CFCAF CGCOG CHCHE CICIV CKCOK CLCHL CMCMR CNCHN
    COCOL CRCRI CUCUB CVCPV CWCUW CXCXR CYCYP CZCZE DEDEU DJDJI DKDNK DMDMA DODOM DZDZA ECECU EEEST
    EGEGY EHESH ERERI ESESP ETETH FIFIN FJFJI FKFLK FMFSM FOFRO FRFRA GAGAB GBGBR GDGRD GEGEO GFGUF
    GGGGY GHGHA GIGIB GLGRL GMGMB GNGIN GPGLP GQGNQ GRGRC GSSGS GTGTM GUGUM GWGNB GYGUY HKHKG HMHMD
    HNHND HRHRV HTHTI HUHUN IDIDN IEIRL ILISR IMIMN ININD IOIOT IQIRQ IRIRN ISISL ITITA JEJEY JMJAM
    JOJOR JPJPN KEKEN KGKGZ KHKHM KIKIR KMCOM KNKNA KPPRK KRKOR KWKWT KYCYM KZKAZ LALAO LBLBN LCLCA
    LILIE LKLKA LRLBR LSLSO LTLTU LULUX LVLVA LYLBY MAMAR MCMCO MDMDA MEMNE MFMAF MGMDG MHMHL MKMKD
    MLMLI MMMMR MNMNG MOMAC MPMNP MQMTQ MRMRT MSMSR MTMLT MUMUS MVMDV MWMWI MXMEX MYMYS MZMOZ NANAM
    NCNCL NENER NFNFK NGNGA NINIC NLNLD NONOR NPNPL NRNRU NUNIU NZNZL OMOMN PAPAN PEPER PFPYF PGPNG
    PHPHL PKPAK PLPOL PMSPM PNPCN PRPRI PSPSE PTPRT PWPLW PYPRY QAQAT REREU ROROU RSSRB RURUS RWRWA
    SASAU SBSLB SCSYC SDSDN SESWE SGSGP SHSHN SISVN SJSJM SKSVK SLSLE SMSMR SNSEN SOSOM SRSUR SSSSD
    STSTP SVSLV SXSXM SYSYR SZSWZ TCTCA TDTCD TFATF TGTGO THTHA TJTJK TKTKL TLTLS TMTKM TNTUN TOTON
    TRTUR TTTTO TVTUV TWTWN TZTZA UAUKR UGUGA UMUMI USUSA UYURY UZUZB VAVAT VCVCT VEVEN VGVGB VIVIR
    VNVNM VUVUT WFWLF WSWSM XKXKX YEYEM YTMYT ZAZAF ZMZMB ZWZWE
"""

# Names in Dutch, English and German: the EU, the EEA, and where European web shops ship to besides. Written
# as `_plain` makes them: in lower case, without diacritics, as one word.
_NAMES = """
    AD andorra
    AL albanie albania albanien
    AT oostenrijk austria osterreich oesterreich
    AU australie australia australien
    BA bosnieenherzegovina bosniaandherzegovina bosniaherzegovina bosnienundherzegowina
    BE belgie belgium belgien belgique
    BG bulgarije bulgaria bulgarien
    CA canada kanada
    CH zwitserland switzerland schweiz dieschweiz suisse
    CN china
    CY cyprus zypern
    CZ tsjechie czechia czechrepublic tsjechischerepubliek tschechien tschechischerepublik
    DE duitsland germany deutschland bundesrepublikdeutschland
    DK denemarken denmark danemark daenemark
    EE estland estonia
    ES spanje spain spanien
    FI finland finnland
    FR frankrijk france frankreich
    GB verenigdkoninkrijk unitedkingdom vereinigteskonigreich vereinigteskoenigreich uk
       grootbrittannie greatbritain grossbritannien engeland england schotland scotland schottland wales
    GR griekenland greece griechenland el
    HK hongkong
    HR kroatie croatia kroatien
    HU hongarije hungary ungarn
    IE ierland ireland irland
    IS ijsland iceland island
    IT italie italy italien
    JP japan
    LI liechtenstein
    LT litouwen lithuania litauen
    LU luxemburg luxembourg
    LV letland latvia lettland
    MC monaco
    ME montenegro
    MK noordmacedonie northmacedonia nordmazedonien
    MT malta
    NL nederland netherlands thenetherlands niederlande dieniederlande holland
    NO noorwegen norway norwegen
    PL polen poland
    PT portugal
    RO roemenie romania rumanien rumaenien
    RS servie serbia serbien
    SE zweden sweden schweden
    SI slovenie slovenia slowenien
    SK slowakije slovakia slowakei
    SM sanmarino
    TR turkije turkey turkiye turkei tuerkei
    UA oekraine ukraine
    US verenigdestaten unitedstates vereinigtestaaten verenigdestatenvanamerika unitedstatesofamerica
       vereinigtestaatenvonamerika
    VA vaticaanstad vaticancity vatikanstadt
    XI xi northernireland noordierland nordirland gbnir
    XK kosovo kos
"""


def _plain(text):
    """Return the letters of `text` in lower case, without diacritics, spaces and punctuation."""
    return re.sub(r"[\W\d_]", "", unicodedata.normalize("NFKD", text.casefold()))


def _table():
    """Return {code or plain name in lower case: alpha-2 code} of the two tables above."""
    table = {}
    for pair in _CODES.split():
        table[pair[:2].lower()] = table[pair[2:].lower()] = pair[:2]
    code = ""
    for word in _NAMES.split():
        if word.isupper():
            code = word
        else:
            table[word] = code
    return table


_BY_NAME = _table()


def country_code(text):
    """Return the ISO 3166-1 alpha-2 code that `text` stands for, or "" where it stands for none.

    :param str text: an alpha-2 or alpha-3 code, or a name in Dutch, English or German; case, diacritics and
        punctuation do not matter
    """
    return _BY_NAME.get(_plain(text), "")


_NUMBER_FIRST = {"AU", "CA", "FR", "GB", "GG", "IE", "IM", "JE", "LU", "MC", "MT", "NZ", "US"}
_RESPELLED = {"AT", "BE", "CH", "DE", "NL"}  # where a joined line is understood well enough
# "Dorpsstraat 12", "Dorpsstraat 12a", "Dorpsstraat 12-A", "Plein 1944 nr. 5", "Kade 12 - 2", "Straat 5 bis".
# A number after a mere space is no addition: in "Rijksweg 12 5" and "Plein 1944 5" the house is 5.
_TAIL = re.compile(
    r"(?P<street>.*[^\s–-])\s+(?:(?:nr|no)\.?)?(?P<number>[0-9]{1,5})"
    r"(?:\s*[-–]?\s*(?P<letters>[^\W\d_]{1,4}[0-9]{0,3})|\s*[-–]\s*(?P<digits>[0-9]{1,4}[a-z]?))?",
    re.IGNORECASE,
)


def street_line(street, number, addition, country):
    """Join a street, house number and addition into one line, the way the country writes it.

    In the Netherlands and around it, the joined spellings of one address ("Dorpsstraat 12a", "12 A", "12-A")
    and its split spellings give the same line. A line that is not understood stays as it was given.

    :param str number: the house number, or "" where it is part of the street
    :param str addition: what follows the number, or ""
    :param str country: ISO 3166-1 alpha-2 code
    """
    number, addition = number.strip(), addition.strip(" -–")
    if country in _NUMBER_FIRST:
        number = "" if street.startswith(f"{number} ") else number
        return " ".join(part for part in (number, number and addition, street) if part)
    numbered = _numbered(number, addition, country)
    tail = number and _TAIL.fullmatch(street)
    # Some shops send the joined line as the street, and the number once more.
    if tail and _respelled(street) in {_respelled(f"{tail['street']} {end}") for end in (number, numbered)}:
        street = tail["street"]
    line = f"{street} {numbered}".strip()
    return _respelled(line) if country in _RESPELLED else line


def _numbered(number, addition, country):
    """Join a house number and its addition: "12 A", but "12-2", for "12 2" would read as two numbers."""
    if not re.fullmatch("[0-9]{1,4}[A-Za-z]?", addition):
        return f"{number} {addition}".strip()
    return f"{number} bus {addition}" if country == "BE" else f"{number}-{addition}"


def _respelled(line):
    """Return a line that ends in a house number in our spelling, and any other line as it is."""
    tail = _TAIL.fullmatch(line)
    if not tail:
        return line
    letters = tail["letters"] or ""
    if letters.lower() in ("bis", "ter", "hs", "huis"):
        letters = letters.lower()
    elif len(letters) == 1 or letters[1:].isdigit():
        letters = letters.upper()
    street = re.sub(r"\s+(nr\.?|no\.?|nummer)$|(?<=[^\W\d_]),$", "", tail["street"], flags=re.IGNORECASE)
    end = f"{tail['number']}-{tail['digits'].upper()}" if tail["digits"] else f"{tail['number']} {letters}"
    return f"{street} {end}".strip()
